// What a node has spent on a phase of training.
#pragma once

#include <optional>

#include "fleet/state.h"

namespace dashf::runtime {

struct Spent {
  double elapsed_s = 0.0;
  double cpu_s = 0.0;  // Of the processor.
  // As a meter has it (energy_meter.h), where one could be read for every step.
  std::optional<double> energy_j = {};
  bool operator==(const Spent&) const = default;
};

// As it is reported.
inline fleet::Measured MeasuredOf(const Spent& spent) {
  return {spent.elapsed_s, spent.cpu_s, {}, spent.energy_j};
}

}  // namespace dashf::runtime
