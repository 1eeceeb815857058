// Greedy text: the most probable token, again and again, with the keys and values of earlier
// positions kept. Deterministic and safe from any thread.
#pragma once

#include <vector>

#include "base/error.h"
#include "train/adapter.h"
#include "train/model.h"

namespace dashf::train {

// At most `tokens_max` further tokens after `prompt` (not empty), ending before an end token of the
// model's config. kBadInput if a token is not in the vocabulary or prompt and continuation together
// exceed the model's positions.
Expected<std::vector<int>> GenerateGreedy(const Model& model,
                                          const Adapter* adapter,
                                          const std::vector<int>& prompt,
                                          int tokens_max);

}  // namespace dashf::train
