#include "train/step_gradient.h"

#include <algorithm>

namespace dashf::train {

double AnswerTokens(const std::vector<corpus::Example>& examples,
                    std::span<const std::size_t> chosen) {
  double tokens = 0.0;
  for (const std::size_t i : chosen) tokens += examples[i].answer_tokens();
  return tokens;
}

double StepGradient(const std::vector<corpus::Example>& examples,
                    std::span<const std::size_t> chosen,
                    int batch_size,
                    std::span<const float> parameters,
                    PhaseGradient* computation,
                    std::span<float> scratch,
                    std::span<float> gradient) {
  const auto size = static_cast<std::size_t>(batch_size);
  if (chosen.size() <= size) return computation->Compute(chosen, parameters, gradient);
  const double tokens = AnswerTokens(examples, chosen);
  double loss = 0.0;
  std::fill(gradient.begin(), gradient.end(), 0.0F);
  for (std::size_t begin = 0; begin < chosen.size(); begin += size) {
    const auto batch = chosen.subspan(begin, std::min(size, chosen.size() - begin));
    const double share = AnswerTokens(examples, batch) / tokens;
    loss += share * computation->Compute(batch, parameters, scratch);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] += static_cast<float>(share) * scratch[i];
    }
  }
  return loss;
}

}  // namespace dashf::train
