// One training on this machine, from a model folder and data to a PEFT folder: what `dashf
// train` does once its flags are read.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "cli/train/data_options.h"
#include "cli/train/memory_choice.h"
#include "train/adapter.h"
#include "train/compute.h"
#include "train/phases.h"

namespace dashf::cli {

struct CheckpointInterval {
  std::optional<int> steps;
  std::optional<double> elapsed_s;
};

struct LocalTraining {
  std::string model_dir;
  DataOptions data;
  std::string out_dir;
  std::string adapter_dir;  // To go on with; empty: a new one of this shape.
  train::AdapterConfig adapter;
  int layer_first = 1;  // 1-based, inclusive.
  int layer_last = 0;   // 0: the model's last one.
  train::UserObjective objective = train::UserObjective::kFullDepth;
  train::TrainOptions options;
  llama::Storage storage;           // Of the base's weights.
  std::string base_cache = "auto";  // As AddBaseCacheOption() (storage_options.h) has it.
  train::Products products;         // What it will be multiplied by.
  MemoryRules memory;
  int sample_tokens_max = 512;
  double held_out_share = 0.0;  // Of the samples; not trained on.
  std::string eval_path;        // Or these.
  CheckpointInterval checkpoint;
  bool resume = false;
  bool json = false;  // The result on stdout.
};

// The exit code: 0, or 128 + the number of the signal that ended it.
Expected<int> Train(const LocalTraining& training);

}  // namespace dashf::cli
