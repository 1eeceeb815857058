// A phase in pieces, for whoever does other things in between: trains several users in turn, keeps
// checkpoints, shares the processor with others. What comes out does not depend on what happens
// between the pieces.
#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "corpus/example.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/phases.h"

namespace dashf::train {

class PhaseTraining {
 public:
  // What TrainLayers would refuse: kBadInput.
  static Expected<void> Check(const Model& model,
                              const std::vector<corpus::Example>& examples,
                              int first,
                              int last,
                              const TrainOptions& options,
                              const Adapter& adapter);
  // Arguments and errors as TrainLayers'. Computes nothing yet. `examples` must outlive it; model,
  // options, adapter and the state that options.from points to need not.
  static Expected<PhaseTraining> Begin(const Model& model,
                                       const std::vector<corpus::Example>& examples,
                                       int first,
                                       int last,
                                       UserObjective objective,
                                       const TrainOptions& options,
                                       const Adapter& adapter);
  PhaseTraining(PhaseTraining&&) noexcept;
  PhaseTraining& operator=(PhaseTraining&&) noexcept;
  ~PhaseTraining();

  // The phase's work in FLOP, by the model's shape (flop.h).
  static double FlopOf(const Model& model,
                       const std::vector<corpus::Example>& examples,
                       int first,
                       int last,
                       UserObjective objective,
                       const TrainOptions& options,
                       const Adapter& adapter);

  // Computes the next piece, a batch of the hidden states that are computed once or an optimiser
  // step; false if that was the last, or if there was none. Errors as TrainLayers'.
  Expected<bool> Advance();

  int steps() const;     // Taken, also before the state that it went on from.
  double cpu_s() const;  // Processor time of the process during Advance(), in all.
  // Of FlopOf(), what is done: steps also before the state that it went on from, each in proportion
  // to its tokens, and hidden states as far as this process has them. All of it once the phase is
  // over, however it ended.
  double flop_done() const;
  const TrainingState& state() const;  // After the last step.
  // Writes the phase's layers as they are into `adapter`; elapsed_s is left to the caller.
  PhaseReport Finish(Adapter* adapter) const;

 private:
  struct Work;
  explicit PhaseTraining(std::unique_ptr<Work> work);
  std::unique_ptr<Work> work_;
};

}  // namespace dashf::train
