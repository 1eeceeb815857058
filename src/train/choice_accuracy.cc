#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "llama/decoder.h"
#include "llama/threads.h"
#include "train/adapter_layout.h"
#include "train/batch_order.h"
#include "train/compute.h"
#include "train/evaluate.h"
#include "train/trained_parameters.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

double LogProbability(const std::vector<float>& logits, int token) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - largest));
  return logits[static_cast<std::size_t>(token)] - largest - std::log(sum);
}

// Log-likelihood of each label after the prompt, which is read once for all of them.
std::vector<double> LabelScores(llama::Decoder* decoder,
                                const std::vector<int>& prompt,
                                const std::vector<std::vector<int>>& labels) {
  decoder->Rewind(0);
  decoder->Read(prompt);
  const std::vector<float> first = decoder->Logits(std::ssize(prompt) - 1);
  std::vector<double> scores;
  for (const std::vector<int>& label : labels) {
    double& score = scores.emplace_back(LogProbability(first, label.front()));
    if (label.size() == 1) continue;
    decoder->Rewind(std::ssize(prompt));
    decoder->Read(std::span(label).first(label.size() - 1));
    for (std::size_t t = 1; t < label.size(); ++t) {
      score += LogProbability(decoder->Logits(static_cast<std::int64_t>(t) - 1), label[t]);
    }
  }
  return scores;
}

Expected<void> CheckChoices(const ModelConfig& model,
                            const std::vector<std::vector<int>>& prompts,
                            const std::vector<int>& truth,
                            const std::vector<std::vector<int>>& labels) {
  if (prompts.empty()) return Fail(ErrorKind::kBadInput, "prompts", "must not be empty");
  if (truth.size() != prompts.size()) {
    return Fail(ErrorKind::kBadInput, "truth", "must have one entry per prompt");
  }
  std::size_t longest = 0;
  for (const std::vector<int>& label : labels) longest = std::max(longest, label.size());
  for (const int label : truth) {
    if (label >= 0 && label < std::ssize(labels)) continue;
    return Fail(ErrorKind::kBadInput, "truth", fmt::format("{} is not a label's index", label));
  }
  std::vector<corpus::Example> checked;  // Longest prompt + longest label must fit as well.
  for (const std::vector<int>& prompt : prompts) {
    if (prompt.empty()) return Fail(ErrorKind::kBadInput, "prompts", "must not hold an empty one");
    std::vector<int> tokens = prompt;
    tokens.resize(prompt.size() + longest, 0);
    checked.emplace_back(std::move(tokens), static_cast<int>(prompt.size()));
  }
  for (const std::vector<int>& label : labels) {
    if (label.empty()) return Fail(ErrorKind::kBadInput, "labels", "must not be empty");
    std::vector<int> tokens = label;
    tokens.push_back(0);
    checked.emplace_back(std::move(tokens), 1);
  }
  return CheckExamples(checked, model);
}

}  // namespace

Expected<double> ChoiceAccuracy(const Model& model,
                                const Adapter* adapter,
                                const std::vector<std::vector<int>>& prompts,
                                const std::vector<int>& truth,
                                const std::vector<std::vector<int>>& labels) {
  return WithinMemory("evaluation", [&]() -> Expected<double> {
    const ModelConfig& config = model.config();
    if (auto sound = CheckChoices(config, prompts, truth, labels); !sound) {
      return tl::unexpected(sound.error());
    }
    if (adapter != nullptr) {
      if (auto sound = CheckAdapter(*adapter, config); !sound) return tl::unexpected(sound.error());
    }
    const auto longest = [](const std::vector<std::vector<int>>& texts) {
      std::size_t length = 0;
      for (const auto& text : texts) length = std::max(length, text.size());
      return static_cast<std::int64_t>(length);
    };
    const llama::AdapterLayout layout = LayoutOf(adapter, config);
    const std::vector<float> parameters = AllParameters(adapter);
    const llama::ThreadScope scope(Threads());
    llama::Decoder decoder(model.weights(), layout, parameters, longest(prompts) + longest(labels));
    int right = 0;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const std::vector<double> scores = LabelScores(&decoder, prompts[i], labels);
      const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
      right += best == truth[i] ? 1 : 0;
    }
    return static_cast<double>(right) / static_cast<double>(prompts.size());
  });
}

}  // namespace dashf::train
