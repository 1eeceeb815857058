// What flags demand of the numbers they are given.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <string>
#include <utility>

namespace dashf::cli {

// For every flag that is a floating-point number; CLI11's own PositiveNumber and
// NonNegativeNumber let NaN and infinity pass. `rule` follows "must be a ", `kept` decides.
template <class Kept>
CLI::Validator FiniteNumber(std::string rule, std::string type_name, Kept kept) {
  return CLI::Validator(
      [rule = std::move(rule), kept](std::string& text) {
        double value = 0.0;
        const bool number = CLI::detail::lexical_cast(text, value) && std::isfinite(value);
        if (number && kept(value)) return std::string();
        return fmt::format("must be a {}, got {}", rule, text);
      },
      std::move(type_name));
}
inline CLI::Validator FinitePositive() {
  return FiniteNumber("finite number > 0", "POSITIVE", [](double value) { return value > 0.0; });
}
inline CLI::Validator FiniteNonNegative() {
  return FiniteNumber(
      "finite number >= 0", "NONNEGATIVE", [](double value) { return value >= 0.0; });
}
// A limit is one that ends.
inline CLI::Validator TimeLimit() {
  return FiniteNumber("finite number of seconds > 0 (without the flag there is no limit)",
                      "SECONDS",
                      [](double value) { return value > 0.0; });
}

}  // namespace dashf::cli
