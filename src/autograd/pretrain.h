// Pre-trains a small Llama on a stream of tokens: AdamW, linear warm-up, then a cosine to a tenth
// of the learning rate.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/error.h"
#include "train/model.h"

namespace dashf::autograd {

struct PretrainReport {
  int step = 0;
  std::int64_t tokens = 0;  // Trained on so far.
  double elapsed_s = 0.0;
  double train_loss = 0.0;       // Mean since the last report.
  double validation_loss = 0.0;  // On a fixed sample.
};

struct PretrainOptions {
  // Whichever comes first ends the training. With steps alone the result depends on the seed and
  // the thread count only.
  int steps = 1000;
  double elapsed_s = 1e9;
  int batch_size = 8;
  int sequence_length = 256;  // Longer texts than this are not learnt.
  double learning_rate = 3e-3;
  double weight_decay = 0.1;  // Of matrices; norms and biases keep theirs.
  int warmup_steps = 100;
  std::uint64_t seed = 1;  // Of the sequences' order.
  // About every so often, and at the end, with the model as it is; false ends the training.
  double report_interval_s = 60.0;
  std::function<bool(const PretrainReport&, const train::Model&)> on_report;
};

// Starts from `initial`: RandomModel, or one that an earlier pre-training left (whose optimiser
// state is not kept: the warm-up makes up for it). kBadInput if a token is not in the vocabulary or
// a stream is shorter than one sequence; kNumerical if the loss is not finite.
Expected<train::Model> Pretrain(const train::Model& initial,
                                std::span<const int> train,
                                std::span<const int> validation,
                                const PretrainOptions& options);

}  // namespace dashf::autograd
