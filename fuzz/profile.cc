// dashf.profile/1: what is accepted is written and read again, and written the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "scenario/profile_io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto profile = dashf::ParseProfile("f", {reinterpret_cast<const char*>(data), size});
  if (!profile) return 0;
  const std::string text = dashf::WriteProfile(*profile);
  const auto again = dashf::ParseProfile("f", text);
  DASHF_CHECK(again);
  DASHF_CHECK(dashf::WriteProfile(*again) == text);
  return 0;
}
