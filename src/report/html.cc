#include "report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace dashf::report {
namespace {

constexpr std::string_view kNothing = "–";

// After Okabe and Ito, darkened where white text or thin lines must stay legible.
constexpr std::string_view kColours[] = {
    "#0072b2", "#d55e00", "#009e73", "#b05587", "#b8860b", "#3e97c4", "#7a5ca8", "#5f6b73"};

struct Prefix {
  double factor;
  std::string_view symbol;
};
constexpr Prefix kPrefixes[] = {{1e15, "P"},
                                {1e12, "T"},
                                {1e9, "G"},
                                {1e6, "M"},
                                {1e3, "k"},
                                {1.0, ""},
                                {1e-3, "m"},
                                {1e-6, "µ"},
                                {1e-9, "n"}};

}  // namespace

std::string Escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string WithUnit(std::optional<double> value, std::string_view unit) {
  if (!value || !std::isfinite(*value)) return std::string(kNothing);
  if (*value == 0.0) return fmt::format("0 {}", unit);
  const double size = std::abs(*value);
  const auto* prefix = std::find_if(std::begin(kPrefixes), std::end(kPrefixes) - 1, [&](auto& p) {
    return size >= p.factor * 0.9995 && (unit != "s" || p.factor <= 1.0);  // Nobody says ks.
  });
  const double scaled = *value / prefix->factor;
  const int decimals = std::abs(scaled) >= 99.95 ? 0 : std::abs(scaled) >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}{}", scaled, decimals, prefix->symbol, unit);
}

std::string Plain(std::optional<double> value, int decimals) {
  if (!value || !std::isfinite(*value)) return std::string(kNothing);
  return fmt::format("{:.{}f}", *value, decimals);
}

std::string Percent(std::optional<double> share, int decimals) {
  if (!share || !std::isfinite(*share)) return std::string(kNothing);
  return fmt::format("{:.{}f} %", 100.0 * *share, decimals);
}

std::string ServerColour(int server) {
  const auto index = static_cast<std::size_t>(server);
  if (index < std::size(kColours)) return std::string(kColours[index]);
  return fmt::format("hsl({:.0f} 60% 42%)", std::fmod(137.508 * server, 360.0));
}

}  // namespace dashf::report
