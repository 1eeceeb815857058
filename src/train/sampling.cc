#include "train/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace dashf::train {

Expected<void> CheckSampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0.0 && std::isfinite(options.temperature))) {
    return Fail(ErrorKind::kUsage,
                "temperature",
                fmt::format("must be finite and >= 0, got {}", options.temperature));
  }
  if (options.top_k < 0) {
    return Fail(ErrorKind::kUsage, "top-k", fmt::format("must be >= 0, got {}", options.top_k));
  }
  if (!(options.top_p > 0.0 && options.top_p <= 1.0)) {
    return Fail(
        ErrorKind::kUsage, "top-p", fmt::format("must be in (0, 1], got {}", options.top_p));
  }
  return {};
}

std::optional<int> SampleToken(std::span<const float> logits,
                               const SamplingOptions& options,
                               Rng* rng) {
  const bool defined =
      std::none_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); });
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (!defined || largest == logits.end() || !std::isfinite(*largest)) return std::nullopt;
  if (options.temperature == 0.0) return static_cast<int>(largest - logits.begin());

  std::vector<int> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  const auto logit = [&](int token) { return logits[static_cast<std::size_t>(token)]; };
  const auto likelier = [&](int a, int b) {
    return logit(a) != logit(b) ? logit(a) > logit(b) : a < b;
  };
  if (options.top_k > 0 && options.top_k < std::ssize(tokens)) {
    std::nth_element(tokens.begin(), tokens.begin() + options.top_k, tokens.end(), likelier);
    tokens.resize(static_cast<std::size_t>(options.top_k));
  }
  if (options.top_p < 1.0) std::sort(tokens.begin(), tokens.end(), likelier);
  std::vector<double> weights;
  double total = 0.0;
  for (const int token : tokens) {
    const double gap = static_cast<double>(logit(token)) - static_cast<double>(*largest);
    weights.push_back(std::exp(gap / options.temperature));
    total += weights.back();
  }
  if (options.top_p < 1.0) {
    const double wanted = options.top_p * total;
    std::size_t kept = 0;
    total = 0.0;
    while (kept < weights.size() && total < wanted) total += weights[kept++];
    weights.resize(kept);
  }
  double left = rng->Uniform() * total;
  std::size_t drawn = 0;
  while (drawn + 1 < weights.size() && left >= weights[drawn]) left -= weights[drawn++];
  return tokens[drawn];
}

}  // namespace dashf::train
