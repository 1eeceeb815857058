// One token drawn from a model's logits.
#pragma once

#include <optional>
#include <span>

#include "base/error.h"
#include "base/rng.h"

namespace dashf::train {

struct SamplingOptions {
  // Probabilities are softmax(logits / temperature); 0 means the most probable token, always.
  double temperature = 0.0;
  // Then only the k most probable tokens are drawn from; 0 means all.
  int top_k = 0;
  // Then only the most probable ones that together have at least this share of what is left
  // (Holtzman et al. 2020, arXiv:1904.09751), in (0, 1].
  double top_p = 1.0;

  bool operator==(const SamplingOptions&) const = default;
};

// kUsage names the option and its rule.
Expected<void> CheckSampling(const SamplingOptions& options);

// Equal logits: the first of them comes first. Nothing where there is a NaN or no finite logit.
std::optional<int> SampleToken(std::span<const float> logits,
                               const SamplingOptions& options,
                               Rng* rng);

}  // namespace dashf::train
