// Text from a model, token by token, with the keys and values of earlier positions kept.
// Deterministic and safe from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/sampling.h"

namespace dashf::train {

struct GenerateOptions {
  int tokens_max = 256;
  SamplingOptions sampling = {};                      // Greedy.
  std::uint64_t seed = 1;                             // Same seed and options, same tokens.
  std::vector<int> stop_tokens = {};                  // End the text as the config's end tokens do.
  std::function<void(int token)> on_token = nullptr;  // Each token, as soon as it is drawn.
};

// At most `tokens_max` further tokens after `prompt` (not empty), ending before a stop token or an
// end token of the model's config. kUsage for sampling options; kBadInput if a token is not in the
// vocabulary or prompt and continuation together exceed the model's positions; kNumerical if the
// logits are not finite.
Expected<std::vector<int>> Generate(const Model& model,
                                    const Adapter* adapter,
                                    const std::vector<int>& prompt,
                                    const GenerateOptions& options);

inline Expected<std::vector<int>> GenerateGreedy(const Model& model,
                                                 const Adapter* adapter,
                                                 const std::vector<int>& prompt,
                                                 int tokens_max) {
  return Generate(model, adapter, prompt, {.tokens_max = tokens_max});
}

}  // namespace dashf::train
