// How a phase trains, and what it tells while it does. Plain data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "train/schedule.h"
#include "train/training_state.h"

namespace dashf::train {

struct StepReport {
  int step = 0;   // 1-based.
  int steps = 0;  // Planned.
  double loss = 0.0;
  double elapsed_s = 0.0;  // Since the phase began; includes what precedes the first step.
  double learning_rate = 0.0;
  std::int64_t tokens = 0;  // Trained on so far.
};

struct TrainOptions {
  // Affect the result.
  int epochs = 3;  // Passes over the examples; each in its own random order.
  int batch_size = 8;
  double learning_rate = 3e-3;  // The schedule's peak.
  double weight_decay = 0.0;
  double gradient_norm_max = 1.0;  // Longer gradients are shortened to this; > 0.
  std::uint64_t seed = 1;
  // Called after every step; returning false ends the phase after it (PhaseReport::stopped).
  std::function<bool(const StepReport&)> on_step = {};

  // Affect the result too.
  LearningRateSchedule schedule = {};
  int accumulate = 1;  // Batches per step: the steps of a batch that many times as large, in the
                       // memory of one.
  int steps_max = 0;   // Ends the phase, in the midst of an epoch if need be; 0: the epochs do.
  double explosion_factor = 3.0;  // The phase has diverged once its smoothed loss is above this
                                  // times its least (loss_watch.h); > 1, infinity: never.

  // Do not.
  const TrainingState* from = nullptr;  // Go on from here: the same arguments otherwise, then the
                                        // same bytes at the end. Null: from the beginning.
  std::filesystem::path cache_folder = {};  // Hidden states that are computed once are kept in a
                                            // file there, not in memory. Empty: in memory.
  bool recompute = false;  // Keep of each layer its input alone, and compute the layer again for
                           // its backward: the same bytes, in less memory and more time.
  // Called after on_step with all there is to go on from; its error ends the phase.
  std::function<Expected<void>(const TrainingState&)> on_state = {};

  Expected<void> Validate() const;
};

// Steps of a phase over so many examples.
int PlannedSteps(const TrainOptions& options, std::size_t examples);

}  // namespace dashf::train
