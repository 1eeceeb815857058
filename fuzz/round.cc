// dashf.round/1: what is accepted is written and read again, and written the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "round/round_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto record = dashf::ParseRound("f", {reinterpret_cast<const char*>(data), size});
  if (!record) return 0;
  const std::string text = dashf::WriteRound(*record);
  const auto again = dashf::ParseRound("f", text);
  DASHF_CHECK(again);
  DASHF_CHECK(dashf::WriteRound(*again) == text);
  return 0;
}
