// What a sound scenario says that is hardly meant: numbers that look like another unit, links that
// carry next to nothing, servers that nobody can use. Pure: safe from any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenario/scenario.h"

namespace dashf {

struct Doubt {
  std::string_view kind;        // "gain_above_1", ...; docs/scenarios.md lists them.
  std::size_t count = 0;        // >= 1; how many numbers, links, servers or users.
  std::string where;            // The first: "users[3].tx_power_w_max".
  std::optional<double> value;  // There.
  std::string message;          // A sentence: the rule, and what it may be instead.
};

// In the order of docs/scenarios.md; empty where everything looks meant.
std::vector<Doubt> FindDoubts(const Scenario& scenario);

}  // namespace dashf
