// What a schedule costs by the model's shape: floating-point operations, and bytes over the air.
// Formulas in docs/split.md. Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "study/schedule.h"
#include "train/adapter.h"
#include "train/flop.h"
#include "train/model.h"

namespace dashf::study {

struct SiteFlop {
  double user = 0.0;
  double server = 0.0;
  double Total() const { return user + server; }
};

// Of train::FlopOfLayers; a partial pass counts in proportion, what is done once is done once per
// phase.
SiteFlop FlopOf(const train::ModelConfig& model,
                const train::AdapterConfig& adapter,
                const train::Volume& volume,
                int steps_per_pass,
                const std::vector<Phase>& phases);

struct Traffic {
  double up_bytes = 0.0;
  double down_bytes = 0.0;
};

// Before a phase its side gets the layers it works with that the other side has changed since, and
// before the first server phase the data; at the end the user has all layers. The initial adapter
// follows from a seed and does not travel.
Traffic TrafficOf(const std::vector<Phase>& phases,
                  const std::vector<double>& layer_bytes,
                  double data_bytes);

}  // namespace dashf::study
