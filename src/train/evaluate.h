// How good a model with an adapter is on held-out examples. Loss counts answer tokens only. All
// functions are deterministic and safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/example.h"
#include "train/adapter.h"
#include "train/model.h"

namespace dashf::train {

struct Evaluation {
  double loss = 0.0;         // Mean negative log-likelihood per answer token, in nat.
  double perplexity = 0.0;   // exp(loss).
  double exact_match = 0.0;  // Share of examples whose answers greedy decoding all reproduces.
  int examples = 0;
  int answer_tokens = 0;
};

// Examples of a pass, at most.
inline constexpr int kEvaluationBatch = 16;

// A null adapter means the bare model. Greedy decoding reproduces the whole answer exactly
// if at each answer position the most probable next token, given the true answer so far, is the
// true one; so one teacher-forced pass decides exact match without generating. Of a conversation
// every answer must be reproduced, each after the true turns before it.
Expected<Evaluation> Evaluate(const Model& model,
                              const Adapter* adapter,
                              const std::vector<corpus::Example>& examples);

// Share of prompts whose true label is the most probable of `labels` (token sequences, end token
// included where the task has one), scored by their whole log-likelihood after the prompt: what
// classification the model knows apart from the answer's format. `truth[i]` indexes `labels`.
// kBadInput without a prompt: no share is defined.
Expected<double> ChoiceAccuracy(const Model& model,
                                const Adapter* adapter,
                                const std::vector<std::vector<int>>& prompts,
                                const std::vector<int>& truth,
                                const std::vector<std::vector<int>>& labels);

}  // namespace dashf::train
