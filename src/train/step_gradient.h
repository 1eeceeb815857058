// One step's gradient out of several batches'. Internal to this module.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "corpus/example.h"
#include "train/phase_gradient.h"

namespace dashf::train {

// How many tokens the loss of the examples `chosen` counts.
double AnswerTokens(const std::vector<corpus::Example>& examples,
                    std::span<const std::size_t> chosen);

// The loss per answer token of the examples `chosen` and its gradient, computed `batch_size`
// examples at a time: each batch counts by its share of the answer tokens, so that the result is
// that of one large batch. `scratch` is as large as `gradient`; both are overwritten.
double StepGradient(const std::vector<corpus::Example>& examples,
                    std::span<const std::size_t> chosen,
                    int batch_size,
                    std::span<const float> parameters,
                    PhaseGradient* computation,
                    std::span<float> scratch,
                    std::span<float> gradient);

}  // namespace dashf::train
