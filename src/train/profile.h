// What each split k costs on this machine: times and peak memory of both phases, over a small
// sample of a real data set. Measured split by split, or, for models where that would take too
// long, on models of the same shape with few layers, from which the rest follows. Plain numbers;
// dashf.profile/1 is written by the command line.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/dataset.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/phases.h"

namespace dashf::train {

// A phase that was foretold before it was measured.
struct ForetoldPhase {
  bool user = false;  // Whose phase: the user's or the server's.
  int layers = 0, k = 0;
  double foretold_s = 0.0, measured_s = 0.0;
  double RelativeError() const { return foretold_s / measured_s - 1.0; }
};

struct PhaseCosts {
  double tokens = 0.0;  // Of the sample.
  // Per split k = 0..L: seconds of a core for the whole phase, all epochs; user_s[0] = server_s[L]
  // = 0.
  std::vector<double> user_s = {};
  std::vector<double> server_s = {};
  std::vector<double> user_memory_bytes = {};  // Peak of the process, weights included; [0] = 0.
  std::vector<double> layer_bytes = {};        // Adapter of each layer as it travels; L entries.
  double gemm_flop_per_s = 0.0;                // One core.
  std::vector<ForetoldPhase> checks = {};      // Of an extrapolation; else empty.
};

struct ProfileOptions {
  int tokens_max = 1536;  // Sample size: times are proportional to it, and noise falls with it.
  int repeats = 2;        // The least disturbed one counts.
  UserObjective objective = UserObjective::kEarlyExit;
  TrainOptions train;  // Whose epochs the costs include.
  AdapterConfig adapter;
  llama::Storage storage;  // Of a base that is made here, or whose time is foretold.
  std::function<void(int done, int total)> on_phase = {};  // After each that was measured.
};

// All of the following use one thread's processor time, so that other programs on the machine
// disturb it little; call SetThreads(1) first, and run no other work in this process. Errors:
// kBadInput as the phases.

// About how long MeasurePhases would take: by operations and this machine's rate of matrix
// products.
double MeasuringS(const ModelConfig& model,
                  const std::vector<corpus::Example>& examples,
                  const ProfileOptions& options);

Expected<PhaseCosts> MeasurePhases(const Model& model,
                                   const std::vector<corpus::Example>& examples,
                                   const ProfileOptions& options);

inline constexpr int kExtrapolationLayersMin = 5;

// Of a model of so many layers at least, whose weights are not needed: measures every split of
// models of 1 and 3 such layers with random weights, fits PhaseLaw (phase_costs.h) to the times and
// an affine law to the memory, and checks both phases of a model of 4 layers against it. The sample
// is smaller where a minute would not do, but never below one batch.
Expected<PhaseCosts> ExtrapolatePhases(const ModelConfig& model,
                                       const std::vector<corpus::Example>& examples,
                                       const ProfileOptions& options);

// What `costs` foretell of the phases of `model` on other examples, and what they then take.
Expected<std::vector<ForetoldPhase>> CheckPhases(const PhaseCosts& costs,
                                                 const Model& model,
                                                 const std::vector<corpus::Example>& examples,
                                                 const ProfileOptions& options);

}  // namespace dashf::train
