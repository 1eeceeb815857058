#include "cli/numbers.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <optional>

namespace dashf::cli {
namespace {

// As CLI11 reads it.
std::optional<double> NumberIn(const std::string& text) {
  char* end = nullptr;
  const auto value = static_cast<double>(std::strtold(text.c_str(), &end));
  if (text.empty() || end != text.c_str() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Check FiniteNumber(const std::string& rule,
                   const std::string& type_name,
                   const std::function<bool(double)>& kept) {
  return {type_name, [rule, kept](const std::string& text) {
            const std::optional<double> value = NumberIn(text);
            if (value && std::isfinite(*value) && kept(*value)) return std::string();
            return fmt::format("must be a {}, got {}", rule, text);
          }};
}

Check Within(double low, double high) {
  return FiniteNumber(fmt::format("number in [{}, {}]", low, high),
                      fmt::format("FLOAT in [{} - {}]", low, high),
                      [=](double value) { return value >= low && value <= high; });
}

Check FinitePositive() {
  return FiniteNumber("finite number > 0", "POSITIVE", [](double value) { return value > 0.0; });
}

Check FiniteNonNegative() {
  return FiniteNumber(
      "finite number >= 0", "NONNEGATIVE", [](double value) { return value >= 0.0; });
}

Check TimeLimit() {
  return FiniteNumber("finite number of seconds > 0 (without the flag there is no limit)",
                      "SECONDS",
                      [](double value) { return value > 0.0; });
}

}  // namespace dashf::cli
