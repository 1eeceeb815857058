// What users, servers and the references have in common: examples from records, and how good an
// adapter is on held-out ones.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/dataset.h"
#include "corpus/tokenizer.h"
#include "round/round_record.h"
#include "runtime/node_config.h"
#include "train/adapter.h"
#include "train/model.h"

namespace dashf::runtime {

struct BaseModel {
  train::Model model;
  corpus::Tokenizer tokenizer;
};
// The model folder's weights and tokenizer; sets one thread per process (a phase has one core).
Expected<BaseModel> LoadBaseModel(const std::string& folder);

struct HeldOut {
  std::vector<corpus::Example> examples;
  // For a choice among labels; empty where an answer is no label.
  std::vector<std::vector<int>> prompts;
  std::vector<int> truth;
  std::vector<std::vector<int>> labels;
};
HeldOut PrepareHeldOut(std::span<const corpus::Record> records,
                       const std::vector<std::string>& labels,
                       const corpus::Tokenizer& tokenizer,
                       int tokens_max);

// A null adapter means the bare model.
Expected<Quality> Assess(const train::Model& model,
                         const train::Adapter* adapter,
                         const HeldOut& held_out);

}  // namespace dashf::runtime
