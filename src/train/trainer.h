// A phase on its way, without what computes: which examples come next, and what a step's gradient
// does to the parameters. Internal to this module.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.h"
#include "base/termination.h"
#include "corpus/example.h"
#include "train/adapter.h"
#include "train/loss_watch.h"
#include "train/phase.h"
#include "train/phases.h"

namespace dashf::train {

TrainingState InitialState(const Adapter& adapter, const Phase& phase);

class Trainer {
 public:
  // `examples`, `options` and `clock` must outlive it.
  Trainer(const std::vector<corpus::Example>& examples,
          const TrainOptions& options,
          const Stopwatch& clock,
          TrainingState state);

  // The examples of the next step; none once the last step, on_step or the loss has ended the
  // phase.
  const std::vector<std::size_t>* Next();
  // Takes the step with the loss and gradient of Next()'s examples; the gradient is shortened in
  // place. Leaves the state as it was if the loss has diverged. The error is on_state's.
  Expected<void> Take(double loss, std::span<float> gradient);

  const TrainingState& state() const { return state_; }
  // Writes what the phase has come to into its layers of the adapter, and says how it went; times
  // are the caller's to add.
  PhaseReport Finish(const Phase& phase, Adapter* adapter) const;

 private:
  double LearningRate() const {
    return options_.learning_rate * options_.schedule.Share(step_, steps_);
  }

  const std::vector<corpus::Example>& examples_;
  const TrainOptions& options_;
  const int steps_;
  const Stopwatch& clock_;
  TrainingState state_;
  LossWatch watch_;
  Rng order_;
  std::vector<std::vector<std::size_t>> epoch_;  // Its steps,
  std::size_t at_ = 0;                           // and the one to come.
  int step_ = 0;                                 // 1-based: that of Next().
  bool stopped_ = false;
  std::optional<Divergence> divergence_;
};

}  // namespace dashf::train
