#include "train/generate.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "train/adapter_tensors.h"
#include "train/guarded.h"

namespace dashf::train {
namespace {

Expected<std::vector<int>> Continue(const LlamaWeights& weights,
                                    const AdapterTensors* tensors,
                                    const std::vector<int>& prompt,
                                    const GenerateOptions& options) {
  const at::NoGradGuard no_grad;
  std::vector<int> ends = weights.config.eos_tokens;
  ends.insert(ends.end(), options.stop_tokens.begin(), options.stop_tokens.end());
  Rng rng(options.seed);
  std::vector<int> generated;
  std::vector<std::int64_t> input(prompt.begin(), prompt.end());
  KeyValueCache cache;
  while (std::ssize(generated) < options.tokens_max) {
    const at::Tensor hidden = ForwardLayers(weights,
                                            tensors,
                                            Embed(weights, at::tensor(input, at::kLong)),
                                            {1, std::ssize(input)},
                                            0,
                                            weights.config.layers,
                                            &cache);
    const at::Tensor last = RmsNorm(hidden.narrow(0, std::ssize(input) - 1, 1),
                                    weights.final_norm,
                                    weights.config.rms_norm_eps);
    const at::Tensor logits = at::mm(last, weights.head.t()).to(at::kFloat).contiguous();
    const auto next =
        SampleToken({logits.data_ptr<float>(), static_cast<std::size_t>(logits.numel())},
                    options.sampling,
                    &rng);
    if (!next) return Fail(ErrorKind::kNumerical, "generation", "the logits are not finite");
    if (std::find(ends.begin(), ends.end(), *next) != ends.end()) break;
    generated.push_back(*next);
    if (options.on_token) options.on_token(*next);
    input = {*next};
  }
  return generated;
}

}  // namespace

Expected<std::vector<int>> Generate(const Model& model,
                                    const Adapter* adapter,
                                    const std::vector<int>& prompt,
                                    const GenerateOptions& options) {
  return Guarded("generation", [&]() -> Expected<std::vector<int>> {
    const ModelConfig& config = model.config();
    const int tokens_max = options.tokens_max;
    if (auto sound = CheckSampling(options.sampling); !sound) return tl::unexpected(sound.error());
    if (prompt.empty()) return Fail(ErrorKind::kBadInput, "prompt", "must not be empty");
    for (const int token : prompt) {
      if (token >= 0 && token < config.vocab_size) continue;
      return Fail(ErrorKind::kBadInput,
                  "prompt",
                  fmt::format("token {} is not in [0, {})", token, config.vocab_size));
    }
    if (tokens_max < 0 || tokens_max > config.max_positions - std::ssize(prompt)) {
      return Fail(ErrorKind::kBadInput,
                  "tokens_max",
                  fmt::format("prompt ({}) and continuation ({}) must fit {} positions",
                              prompt.size(),
                              tokens_max,
                              config.max_positions));
    }
    std::optional<AdapterTensors> tensors;
    if (adapter != nullptr) {
      if (auto sound = CheckAdapter(*adapter, config); !sound) return tl::unexpected(sound.error());
      tensors = ToTensors(*adapter, config, model.weights().embedding.scalar_type());
    }
    return Continue(model.weights(), tensors ? &*tensors : nullptr, prompt, options);
  });
}

}  // namespace dashf::train
