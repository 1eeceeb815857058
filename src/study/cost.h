// What a schedule costs by the model's shape: floating-point operations, and bytes over the air.
// Formulas in docs/split.md. Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "corpus/example.h"
#include "study/schedule.h"
#include "train/adapter.h"
#include "train/model.h"

namespace dashf::study {

// Of one pass over a data set.
struct Volume {
  double tokens = 0.0;
  double pairs = 0.0;    // Of a query and a key not after it: n (n + 1) / 2 for n tokens.
  double answers = 0.0;  // Tokens that the loss counts.
};
Volume VolumeOf(const std::vector<corpus::Example>& examples);

struct SiteFlop {
  double user = 0.0;
  double server = 0.0;
  double Total() const { return user + server; }
};

// Multiplications and additions of matrix products, one each: a forward pass has 2 per weight and
// token, LoRA's factors included, 4 x heads x head_dim per pair, and 2 d V per answer in the head.
// Backward, a frozen weight costs as much again (for its input alone), a trained factor and the
// pairs twice as much, from the loss down to the first trained layer, this one counted whole. The
// server's frozen layers are passed once per phase. A partial pass counts in proportion. Norms,
// softmax, activations, the optimiser and LLaMA-Adapter's prompts are left out.
SiteFlop FlopOf(const train::ModelConfig& model,
                const train::AdapterConfig& adapter,
                const Volume& volume,
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
