// The two phases of split fine-tuning. The user trains the adapters of layers 1..k on its data, the
// edge server then those of layers k+1..L on the same data; everything else is frozen. AdamW
// (Loshchilov and Hutter 2019, arXiv:1711.05101) on the mean loss per answer token.
//
// Why two user objectives: with the loss above layer L, training layers 1..k costs the same for
// every k, because forward and backward cross all layers. kEarlyExit takes the loss after layer k,
// through the frozen final norm and head, and costs and stores in proportion to k.
//
// Deterministic: same arguments and thread count, same bytes. The thread count is the process's
// (compute.h). Several phases may run at once from different threads on one model.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "corpus/dataset.h"
#include "train/adapter.h"
#include "train/model.h"

namespace dashf::train {

enum class UserObjective { kEarlyExit, kFullDepth };

struct StepReport {
  int step = 0;   // 1-based.
  int steps = 0;  // Planned.
  double loss = 0.0;
  double elapsed_s = 0.0;
};

struct TrainOptions {
  // Affect the result.
  int epochs = 3;  // Passes over the examples; each in its own random order.
  int batch_size = 8;
  double learning_rate = 3e-3;
  double weight_decay = 0.0;
  double gradient_norm_max = 1.0;  // Longer gradients are shortened to this; > 0.
  std::uint64_t seed = 1;
  // Called after every step; returning false ends the phase after it (PhaseReport::stopped).
  std::function<bool(const StepReport&)> on_step;

  Expected<void> Validate() const;
};

struct PhaseReport {
  int steps = 0;
  std::vector<double> losses;  // Per step, before the step.
  std::int64_t tokens = 0;  // Tokens that passed through the trained layers, padding not counted.
  double elapsed_s = 0.0;   // Includes what precedes the first step.
  double cpu_s = 0.0;       // Of the whole process over that time.
  bool stopped = false;     // on_step asked for it.
};

// Trains layers 1..k of `adapter` in place; 0 <= k <= L, where k = 0 does nothing. kBadInput for
// arguments that do not fit the model, examples that are longer than the model's positions or have
// no answer token; kNumerical if the loss is not finite. On an error the adapter is unchanged.
Expected<PhaseReport> TrainUserPhase(const Model& model,
                                     const std::vector<corpus::Example>& examples,
                                     int k,
                                     UserObjective objective,
                                     const TrainOptions& options,
                                     Adapter* adapter);

// Trains layers k+1..L in place; k = L does nothing. The hidden states after layer k are computed
// once and used in every epoch: tokens x d x 4 bytes.
Expected<PhaseReport> TrainServerPhase(const Model& model,
                                       const std::vector<corpus::Example>& examples,
                                       int k,
                                       const TrainOptions& options,
                                       Adapter* adapter);

// Trains every layer: the all-server reference (one user's examples) and the centralised one (all
// users' examples). The same as TrainServerPhase with k = 0.
Expected<PhaseReport> TrainAllLayers(const Model& model,
                                     const std::vector<corpus::Example>& examples,
                                     const TrainOptions& options,
                                     Adapter* adapter);

}  // namespace dashf::train
