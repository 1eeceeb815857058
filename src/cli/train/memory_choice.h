// How a training keeps to a limit of memory: --memory-limit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/example.h"
#include "llama/weights.h"
#include "train/adapter.h"
#include "train/memory_forecast.h"
#include "train/phases.h"

namespace dashf::cli {

// A limit, and what may be changed to keep to it.
struct MemoryRules {
  std::optional<double> limit_bytes;  // Of the process, resident.
  bool may_recompute = true;          // --recompute auto.
  bool may_halve_weights = true;      // --weights and --arithmetic are what they are by default.
};

// "400MB", "1.5GiB": kUsage for anything else.
Expected<double> ReadMemorySize(const std::string& text);

// What the choice is about.
struct MemorySubject {
  const train::ModelConfig& model;
  const std::vector<corpus::Example>& examples;
  const std::vector<corpus::Example>& held_out;
  const train::Adapter& adapter;
  int first, last;  // Layers trained.
  train::UserObjective objective;
};

struct MemoryChoice {
  train::TrainOptions options;
  llama::Storage storage;
  double process_bytes = 0.0;  // Before the weights are read.
  train::MemoryForecast forecast;

  double Total() const { return process_bytes + forecast.Total(); }
};

// The first of these that keeps to the limit: everything as `options` and `storage` have it; layers
// computed again; batches of a half, a third, ... that are accumulated, so that the steps stay what
// they are; and the same with weights in bfloat16, if the files of `model_dir` hold them so.
// Without a limit, what is asked. kBadInput, naming the least that would do and the most exact
// weights that would fit, if none keeps to it.
Expected<MemoryChoice> ChooseWithin(const MemoryRules& rules,
                                    const MemorySubject& subject,
                                    const train::TrainOptions& options,
                                    const llama::Storage& storage,
                                    const std::string& model_dir);

// "312 MB foretold (process 30, weights 61, ...): layers kept, 8 examples a batch, ...".
std::string Described(const MemoryChoice& choice);

}  // namespace dashf::cli
