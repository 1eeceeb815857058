// Doubts about a scenario as sentences.
#pragma once

#include <fmt/format.h>

#include <string>

#include "scenario/plausibility.h"

namespace dashf::cli {

// "users[3].tx_power_w_max is 23 (and 9 more): more than 5 W; ...".
inline std::string Sentence(const Doubt& doubt) {
  return fmt::format("{}{}{}: {} [{}]",
                     doubt.where,
                     doubt.value ? fmt::format(" is {:g}", *doubt.value) : "",
                     doubt.count > 1 ? fmt::format(" (and {} more)", doubt.count - 1) : "",
                     doubt.message,
                     doubt.kind);
}

}  // namespace dashf::cli
