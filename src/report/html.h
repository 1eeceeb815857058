// Text for the report: everything that comes from a file passes through Escape; numbers carry their
// unit and have three significant digits. Pure: safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dashf::report {

std::string Escape(std::string_view text);  // & < > " '

// "5.3 MHz", "12 s", "-" without a value.
std::string WithUnit(std::optional<double> value, std::string_view unit);
std::string Plain(std::optional<double> value, int decimals);
std::string Percent(std::optional<double> share, int decimals = 0);  // 0.123 -> "12 %".

// A colour per server: eight that also differ for colour-blind eyes, then hues by the golden angle.
std::string ServerColour(int server);

}  // namespace dashf::report
