#include "runtime/learning.h"

#include <algorithm>

#include "train/compute.h"
#include "train/evaluate.h"

namespace dashf::runtime {

Expected<BaseModel> LoadBaseModel(const std::string& folder) {
  train::SetThreads(1);
  auto model = train::LoadModel(folder);
  if (!model) return tl::unexpected(model.error());
  auto tokenizer = corpus::Tokenizer::Load(folder);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  return BaseModel{std::move(*model), std::move(*tokenizer)};
}

HeldOut PrepareHeldOut(std::span<const corpus::Record> records,
                       const std::vector<std::string>& labels,
                       const corpus::Tokenizer& tokenizer,
                       int tokens_max) {
  HeldOut held_out{.examples = corpus::Tokenize(records, tokenizer, tokens_max),
                   .prompts = {},
                   .truth = {},
                   .labels = {}};
  const bool choice =
      !labels.empty() && std::all_of(records.begin(), records.end(), [&](const auto& record) {
        return std::find(labels.begin(), labels.end(), record.output) != labels.end();
      });
  if (!choice) return held_out;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const corpus::Example& example = held_out.examples[i];
    held_out.prompts.emplace_back(example.tokens.begin(),
                                  example.tokens.begin() + example.answer_begin);
    const auto label = std::find(labels.begin(), labels.end(), records[i].output);
    held_out.truth.push_back(static_cast<int>(label - labels.begin()));
  }
  for (const std::string& label : labels) {
    const corpus::Record record{.instruction = "", .input = "", .output = label};
    const corpus::Example example = corpus::Tokenize({&record, 1}, tokenizer, tokens_max).front();
    held_out.labels.emplace_back(example.tokens.begin() + example.answer_begin,
                                 example.tokens.end());
  }
  return held_out;
}

Expected<Quality> Assess(const train::Model& model,
                         const train::Adapter* adapter,
                         const HeldOut& held_out) {
  const auto evaluation = train::Evaluate(model, adapter, held_out.examples);
  if (!evaluation) return tl::unexpected(evaluation.error());
  Quality quality{.loss = evaluation->loss,
                  .exact_match = evaluation->exact_match,
                  .choice_accuracy = std::nullopt};
  if (!held_out.prompts.empty()) {
    const auto accuracy =
        train::ChoiceAccuracy(model, adapter, held_out.prompts, held_out.truth, held_out.labels);
    if (!accuracy) return tl::unexpected(accuracy.error());
    quality.choice_accuracy = *accuracy;
  }
  return quality;
}

}  // namespace dashf::runtime
