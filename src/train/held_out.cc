#include "train/held_out.h"

#include <algorithm>

namespace dashf::train {
namespace {

using corpus::Conversation;
using corpus::Record;
using corpus::Sample;

// The one answer of a sample, which a choice is about; nullptr: it has none or several.
std::string* AnswerOf(Sample* sample) {
  if (auto* record = std::get_if<Record>(sample)) {
    return record->history.empty() ? &record->output : nullptr;
  }
  if (auto* completion = std::get_if<corpus::Completion>(sample)) return &completion->completion;
  auto* conversation = std::get_if<Conversation>(sample);
  if (conversation == nullptr) return nullptr;
  const auto is_answer = [](const corpus::Message& message) {
    return message.role == corpus::Role::kAssistant && message.trained;
  };
  auto& messages = conversation->messages;
  if (std::ranges::count_if(messages, is_answer) != 1) return nullptr;
  return &std::ranges::find_if(messages, is_answer)->content;
}

std::optional<int> LabelOf(Sample sample, const std::vector<std::string>& labels) {
  const std::string* answer = AnswerOf(&sample);
  if (answer == nullptr) return std::nullopt;
  const auto label = std::ranges::find(labels, *answer);
  if (label == labels.end()) return std::nullopt;
  return static_cast<int>(label - labels.begin());
}

}  // namespace

Expected<HeldOut> PrepareHeldOut(std::span<const Sample> samples,
                                 const std::vector<std::string>& labels,
                                 const corpus::Tokenizer& tokenizer,
                                 const Expected<corpus::ChatTemplate>& chat,
                                 int tokens_max,
                                 corpus::DataReport* report) {
  auto examples = corpus::TokenizeSamples(samples, tokenizer, chat, tokens_max, report);
  if (!examples) return tl::unexpected(examples.error());
  HeldOut held_out{std::move(*examples), {}, {}, {}};
  std::vector<int> truth;
  for (const Sample& sample : samples) {
    const std::optional<int> label = LabelOf(sample, labels);
    if (!label) return held_out;
    truth.push_back(*label);
  }
  held_out.truth = std::move(truth);
  for (const corpus::Example& example : held_out.examples) {
    held_out.prompts.emplace_back(example.tokens.begin(),
                                  example.tokens.begin() + example.answer_begin());
  }
  for (const std::string& label : labels) {  // As the answer of a sample of this kind.
    Sample sample = samples.front();
    *AnswerOf(&sample) = label;
    const auto labelled = corpus::TokenizeSamples({&sample, 1}, tokenizer, chat, tokens_max);
    if (!labelled) return tl::unexpected(labelled.error());
    const corpus::Example& example = labelled->front();
    held_out.labels.emplace_back(example.tokens.begin() + example.answer_begin(),
                                 example.tokens.end());
  }
  return held_out;
}

Expected<Assessment> Assess(const Model& model, const Adapter* adapter, const HeldOut& held_out) {
  const auto evaluation = Evaluate(model, adapter, held_out.examples);
  if (!evaluation) return tl::unexpected(evaluation.error());
  Assessment assessment{*evaluation, std::nullopt};
  if (held_out.prompts.empty()) return assessment;
  const auto accuracy =
      ChoiceAccuracy(model, adapter, held_out.prompts, held_out.truth, held_out.labels);
  if (!accuracy) return tl::unexpected(accuracy.error());
  assessment.choice_accuracy = *accuracy;
  return assessment;
}

}  // namespace dashf::train
