// dashf.profile/1: what one machine needs for each split of one model (docs/formats.md). Written by
// `dashf profile`; scales to any user's data set, since the work of both phases and the data's bits
// grow with the tokens while the adapters and the peak memory do not. Pure: safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "scenario/scenario.h"

namespace dashf {

enum class PhaseObjective {
  kEarlyExit,  // The user phase takes its loss after layer k, through the frozen norm and head.
  kFullDepth,  // The user phase takes its loss above layer L.
};

// The machine a profile was measured on: clock_hz * flop_per_cycle = FLOP/s, so that a phase of W
// FLOP lasts W / (flop_per_cycle * clock_hz) there (docs/model.md (1)).
struct MachineCompute {
  double clock_hz = 0.0;         // > 0.
  double flop_per_cycle = 0.0;   // > 0.
  double kappa_w_per_hz3 = 0.0;  // >= 0.
  double gemm_flop_per_s = 0.0;  // > 0; the machine's large matrix product, for comparison.
};

// Columns have one entry per split k = 0..L. Per token means per token of the user's training set,
// for the whole phase: all epochs, forward and backward.
struct MeasuredProfile {
  std::string name;
  std::string model;  // The model folder or name that was measured.
  int layers = 0;     // L >= 1.
  PhaseObjective objective = PhaseObjective::kEarlyExit;
  double epochs = 0.0;           // > 0; each phase's passes over the training set.
  double joint_epochs = 0.0;     // >= 0; passes in which the server then trains all layers: part of
                                 // its work where k < L, and it sends all of them back.
  double tokens_measured = 0.0;  // > 0; size of the training set that was timed.
  double data_bit_per_token = 0.0;            // >= 0; the data set as it is sent.
  std::vector<double> adapter_bit_per_layer;  // L entries, layers 1..L.
  std::vector<double> local_flop_per_token;   // >= 0, [0] = 0.
  std::vector<double> server_flop_per_token;  // >= 0, [L] = 0.
  std::vector<double> local_memory_bytes;     // >= 0.
  std::vector<double> measured_local_s;       // >= 0, for tokens_measured tokens at clock_hz.
  std::vector<double> measured_server_s;
  MachineCompute machine;
};

// One user's data set.
struct DataSetSize {
  double tokens = 0.0;    // > 0.
  double data_bit = 0.0;  // >= 0.
};

// The user's split profile: work = per-token work * tokens, U[k] = data + adapters of layers 1..k,
// V[k] = adapters of layers k+1..L, of all layers if there are joint epochs, U[L] = V[L] = 0.
SplitProfile ScaleProfile(const MeasuredProfile& measured,
                          const DataSetSize& data,
                          std::string name);

// kIo or kBadInput with file, JSON path, rule and value.
Expected<MeasuredProfile> ReadProfile(const std::string& path);
Expected<MeasuredProfile> ParseProfile(const std::string& name, std::string_view bytes);
std::string WriteProfile(const MeasuredProfile& measured);  // Round-trips exactly.

}  // namespace dashf
