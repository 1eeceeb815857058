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
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/dataset.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/train_options.h"

namespace dashf::train {

enum class UserObjective { kEarlyExit, kFullDepth };

// Why a phase ended before its time, without anybody asking it to.
struct Divergence {
  int step = 0;        // Where it was seen.
  std::string reason;  // "loss nan with gradient norm nan".
  int best_steps = 0;  // The adapter is the one after so many steps, where the smoothed loss was
                       // least.
};

struct PhaseReport {
  int steps = 0;               // Taken in all, also before the state that it went on from.
  std::vector<double> losses;  // Per step, before the step.
  std::int64_t tokens = 0;  // Tokens that passed through the trained layers, padding not counted.
  double elapsed_s = 0.0;   // Includes what precedes the first step.
  double cpu_s = 0.0;       // Of the whole process over that time.
  bool stopped = false;     // on_step asked for it.
  std::optional<Divergence> divergence = {};  // Of TrainLayers alone.
};

// kNumerical if the loss diverged.
Expected<void> CheckDivergence(const PhaseReport& report);

// Trains layers first..last (1-based, inclusive) of `adapter` in place, all others being frozen;
// none if last < first. The loss is taken above layer `last` (kEarlyExit) or above the model's last
// one. The hidden states below layer `first` are computed once and used in every epoch: tokens x d
// x 4 bytes. kBadInput for arguments that do not fit the model, examples that are longer than the
// model's positions or have no answer token, and a state to go on from that does not fit. On an
// error the adapter is unchanged; a loss that diverges is none (PhaseReport::divergence).
Expected<PhaseReport> TrainLayers(const Model& model,
                                  const std::vector<corpus::Example>& examples,
                                  int first,
                                  int last,
                                  UserObjective objective,
                                  const TrainOptions& options,
                                  Adapter* adapter);

// The phases. Of these, a loss that diverges is an error: kNumerical, and the adapter is unchanged.

// Trains layers 1..k; 0 <= k <= L, where k = 0 does nothing.
Expected<PhaseReport> TrainUserPhase(const Model& model,
                                     const std::vector<corpus::Example>& examples,
                                     int k,
                                     UserObjective objective,
                                     const TrainOptions& options,
                                     Adapter* adapter);

// Trains layers k+1..L; k = L does nothing.
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
