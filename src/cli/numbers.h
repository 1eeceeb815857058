// What flags demand of the numbers they are given. CLI11's own Range and PositiveNumber let NaN and
// infinity pass.
#pragma once

#include <functional>
#include <string>

#include "cli/options.h"

namespace dashf::cli {

// `rule` follows "must be a ", `kept` decides.
Check FiniteNumber(const std::string& rule,
                   const std::string& type_name,
                   const std::function<bool(double)>& kept);
Check Within(double low, double high);
Check FinitePositive();
Check FiniteNonNegative();
Check TimeLimit();  // s. A limit is one that ends.

}  // namespace dashf::cli
