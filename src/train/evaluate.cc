#include "train/evaluate.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "train/adapter_tensors.h"
#include "train/batch.h"
#include "train/batch_order.h"
#include "train/guarded.h"
#include "train/loss.h"

namespace dashf::train {
namespace {

constexpr int kBatchSize = 16;

Expected<std::optional<AdapterTensors>> OptionalTensors(const Model& model,
                                                        const Adapter* adapter) {
  if (adapter == nullptr) return std::nullopt;
  if (auto sound = CheckAdapter(*adapter, model.config()); !sound) {
    return tl::unexpected(sound.error());
  }
  return ToTensors(*adapter, model.config(), model.weights().embedding.scalar_type());
}

at::Tensor FinalStates(const LlamaWeights& weights, const at::Tensor& hidden) {
  return RmsNorm(hidden, weights.final_norm, weights.config.rms_norm_eps);
}

Evaluation EvaluateAll(const LlamaWeights& weights,
                       const AdapterTensors* tensors,
                       const std::vector<corpus::Example>& examples) {
  const at::NoGradGuard no_grad;
  Evaluation evaluation;
  double loss = 0.0;
  int exact = 0;
  for (const auto& chosen : BatchOrder(examples, kBatchSize, nullptr)) {
    const Batch batch = MakeBatch(examples, chosen);
    const at::Tensor hidden = ForwardLayers(
        weights, tensors, Embed(weights, batch.tokens), batch.shape, 0, weights.config.layers);
    const RowScores scores = ScoreRows(
        FinalStates(weights, hidden.index_select(0, batch.loss_rows)), weights.head, batch.targets);
    loss += scores.losses.sum(at::kDouble).item<double>();
    const bool* hit = scores.hits.data_ptr<bool>();
    for (const std::size_t i : chosen) {
      const int answer = examples[i].answer_tokens();
      exact += std::all_of(hit, hit + answer, [](bool h) { return h; }) ? 1 : 0;
      hit += answer;
      evaluation.answer_tokens += answer;
    }
  }
  evaluation.examples = static_cast<int>(examples.size());
  evaluation.loss = loss / evaluation.answer_tokens;
  evaluation.perplexity = std::exp(evaluation.loss);
  evaluation.exact_match = static_cast<double>(exact) / evaluation.examples;
  return evaluation;
}

// Log-likelihood of each label after the prompt. The prompt passes once; its keys and values are
// then shared by all labels.
std::vector<double> LabelScores(const LlamaWeights& weights,
                                const AdapterTensors* tensors,
                                const std::vector<int>& prompt,
                                const std::vector<corpus::Example>& labels) {
  const int layers = weights.config.layers;
  KeyValueCache cache;
  const std::vector<std::int64_t> prompt_tokens(prompt.begin(), prompt.end());
  const at::Tensor tokens = at::tensor(prompt_tokens, at::kLong);
  const at::Tensor states = ForwardLayers(
      weights, tensors, Embed(weights, tokens), {1, std::ssize(prompt)}, 0, layers, &cache);
  const at::Tensor first = FinalStates(weights, states.narrow(0, std::ssize(prompt) - 1, 1));
  const at::Tensor first_log_p = at::mm(first, weights.head.t()).log_softmax(1).squeeze(0);
  std::vector<double> scores;
  for (const corpus::Example& label : labels) {
    scores.push_back(first_log_p[label.tokens.front()].item<double>());
  }
  std::vector<std::size_t> longer;  // Labels of more than one token.
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].tokens.size() > 1) longer.push_back(i);
  }
  if (longer.empty()) return scores;
  const Batch batch = MakeBatch(labels, longer);
  for (auto& [keys, values] : cache.layers) {
    keys = keys.repeat({batch.shape.rows, 1, 1});
    values = values.repeat({batch.shape.rows, 1, 1});
  }
  const at::Tensor hidden =
      ForwardLayers(weights, tensors, Embed(weights, batch.tokens), batch.shape, 0, layers, &cache);
  const RowScores rows = ScoreRows(
      FinalStates(weights, hidden.index_select(0, batch.loss_rows)), weights.head, batch.targets);
  const at::Tensor losses = rows.losses.to(at::kDouble);
  const double* loss = losses.data_ptr<double>();
  for (const std::size_t i : longer) {
    for (std::size_t t = 1; t < labels[i].tokens.size(); ++t) scores[i] -= *loss++;
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

Expected<Evaluation> Evaluate(const Model& model,
                              const Adapter* adapter,
                              const std::vector<corpus::Example>& examples) {
  return Guarded("evaluation", [&]() -> Expected<Evaluation> {
    if (auto sound = CheckExamples(examples, model.config()); !sound) {
      return tl::unexpected(sound.error());
    }
    const auto tensors = OptionalTensors(model, adapter);
    if (!tensors) return tl::unexpected(tensors.error());
    return EvaluateAll(model.weights(), *tensors ? &**tensors : nullptr, examples);
  });
}

Expected<double> ChoiceAccuracy(const Model& model,
                                const Adapter* adapter,
                                const std::vector<std::vector<int>>& prompts,
                                const std::vector<int>& truth,
                                const std::vector<std::vector<int>>& labels) {
  return Guarded("evaluation", [&]() -> Expected<double> {
    if (auto sound = CheckChoices(model.config(), prompts, truth, labels); !sound) {
      return tl::unexpected(sound.error());
    }
    const auto tensors = OptionalTensors(model, adapter);
    if (!tensors) return tl::unexpected(tensors.error());
    const at::NoGradGuard no_grad;
    std::vector<corpus::Example> label_examples;
    for (const std::vector<int>& label : labels) label_examples.push_back({label, 1});
    int right = 0;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const std::vector<double> scores =
          LabelScores(model.weights(), *tensors ? &**tensors : nullptr, prompts[i], label_examples);
      const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
      right += best == truth[i] ? 1 : 0;
    }
    return static_cast<double>(right) / static_cast<double>(prompts.size());
  });
}

}  // namespace dashf::train
