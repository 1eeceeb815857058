// Held-out data as a model is judged by them: by the loss on the answers, by whether it gives them
// exactly, and, where every answer is one of a few labels, by which label it finds most probable.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/samples.h"
#include "train/evaluate.h"

namespace dashf::train {

struct HeldOut {
  std::vector<corpus::Example> examples;
  // For a choice among labels; empty where an answer is no label.
  std::vector<std::vector<int>> prompts;
  std::vector<int> truth;
  std::vector<std::vector<int>> labels;
};

// A choice needs records, completions or conversations of one answer, each of them a label.
// Otherwise as TokenizeSamples, which adds to `report`.
Expected<HeldOut> PrepareHeldOut(std::span<const corpus::Sample> samples,
                                 const std::vector<std::string>& labels,
                                 const corpus::Tokenizer& tokenizer,
                                 const Expected<corpus::ChatTemplate>& chat,
                                 int tokens_max,
                                 corpus::DataReport* report = nullptr);

struct Assessment {
  Evaluation evaluation;
  std::optional<double> choice_accuracy;  // Where there is a choice among labels.
};
// A null adapter means the bare model.
Expected<Assessment> Assess(const Model& model, const Adapter* adapter, const HeldOut& held_out);

}  // namespace dashf::train
