// What `dashf bench train` trains: a base model, batches of a data set, and where the adapter
// starts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/train/bench_job.h"
#include "corpus/samples.h"
#include "train/adapter.h"
#include "train/model.h"

namespace dashf::cli {

struct BenchSubject {
  std::string name;
  std::string model_dir;
  std::string adapter_dir = {};
  train::ModelConfig config = {};
  train::AdapterConfig adapter = {};
  std::int64_t parameters = 0;
  std::optional<corpus::DataReport> data = {};  // What was taken of the file, where there is one.
  // Two of those that a training on the data would have, where batches are made of examples of
  // similar length: the ones at a quarter and at three quarters of the lengths.
  std::vector<BenchBatch> batches = {};
};

struct BatchRules {
  int batch_size = 4;
  int tokens_max = 256;  // Of an example.
};

// Named by their parameters; the shapes of Karpathy's llama2.c and of Llama 3.2 1B.
inline const std::vector<std::string> kRandomModels = {"15M", "110M", "1B"};

// Random weights, written to `folder` in float32, of 1B in bfloat16, as its own are; and random
// tokens whose lengths follow those of Alpaca records: fits to a thousand of them, at four
// characters a token.
Expected<BenchSubject> RandomSubject(const std::string& name,
                                     const BatchRules& rules,
                                     const std::filesystem::path& folder);

// A Hugging Face folder; without `data_path` with random tokens, as above.
Expected<BenchSubject> GivenSubject(const std::string& model_dir,
                                    const std::string& data_path,
                                    const BatchRules& rules,
                                    const std::filesystem::path& folder);

}  // namespace dashf::cli
