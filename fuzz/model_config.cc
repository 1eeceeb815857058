// config.json: what is accepted is written and read again, and written the same.
#include "train/model_config.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace train = dashf::train;
  const auto config = train::ParseModelConfig("f", {reinterpret_cast<const char*>(data), size});
  if (!config) return 0;
  const std::string text = train::WriteModelConfig(*config, train::Precision::kFloat32);
  const auto again = train::ParseModelConfig("f", text);
  DASHF_CHECK(again && *again == *config);
  DASHF_CHECK(train::WriteModelConfig(*again, train::Precision::kFloat32) == text);
  return 0;
}
