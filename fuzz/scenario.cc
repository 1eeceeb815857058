// dashf.scenario/1: what is accepted is written and read again, and written the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "scenario/scenario_io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto scenario = dashf::ParseScenario("f", {reinterpret_cast<const char*>(data), size});
  if (!scenario) return 0;
  const std::string text = dashf::WriteScenario(*scenario);
  const auto again = dashf::ParseScenario("f", text);
  DASHF_CHECK(again);
  DASHF_CHECK(dashf::WriteScenario(*again) == text);
  return 0;
}
