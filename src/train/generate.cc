#include "train/generate.h"

#include <fmt/format.h>

#include <algorithm>

#include "llama/decoder.h"
#include "llama/threads.h"
#include "train/adapter_layout.h"
#include "train/compute.h"
#include "train/trained_parameters.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

Expected<std::vector<int>> Continue(llama::Decoder* decoder,
                                    std::vector<int> ends,
                                    const std::vector<int>& prompt,
                                    const GenerateOptions& options) {
  ends.insert(ends.end(), options.stop_tokens.begin(), options.stop_tokens.end());
  Rng rng(options.seed);
  std::vector<int> generated;
  std::vector<int> unread = prompt;
  while (std::ssize(generated) < options.tokens_max) {
    decoder->Read(unread);
    const auto next = SampleToken(decoder->Logits(std::ssize(unread) - 1), options.sampling, &rng);
    if (!next) return Fail(ErrorKind::kNumerical, "generation", "the logits are not finite");
    if (std::find(ends.begin(), ends.end(), *next) != ends.end()) break;
    generated.push_back(*next);
    if (options.on_token) options.on_token(*next);
    unread = {*next};
  }
  return generated;
}

}  // namespace

Expected<std::vector<int>> Generate(const Model& model,
                                    const Adapter* adapter,
                                    const std::vector<int>& prompt,
                                    const GenerateOptions& options) {
  return WithinMemory("generation", [&]() -> Expected<std::vector<int>> {
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
    if (adapter != nullptr) {
      if (auto sound = CheckAdapter(*adapter, config); !sound) return tl::unexpected(sound.error());
    }
    const llama::AdapterLayout layout = LayoutOf(adapter, config);
    const std::vector<float> parameters = AllParameters(adapter);
    const llama::ThreadScope scope(Threads());
    llama::Decoder decoder(model.weights(), layout, parameters, std::ssize(prompt) + tokens_max);
    return Continue(&decoder, config.eos_tokens, prompt, options);
  });
}

}  // namespace dashf::train
