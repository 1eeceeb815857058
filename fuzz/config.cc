// `dashf run`'s TOML file: accepted or refused, never anything else.
#include <cstddef>
#include <cstdint>

#include "runtime/run_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)dashf::runtime::ParseRunConfig("f", {reinterpret_cast<const char*>(data), size});
  return 0;
}
