#include "train/evaluate.h"

#include <algorithm>
#include <cmath>

#include "llama/engine.h"
#include "train/adapter_layout.h"
#include "train/batch_order.h"
#include "train/compute.h"
#include "train/sequences.h"
#include "train/trained_parameters.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

Evaluation EvaluateAll(const Model& model,
                       const Adapter* adapter,
                       const std::vector<corpus::Example>& examples) {
  const int layers = model.config().layers;
  const llama::AdapterLayout layout = LayoutOf(adapter, model.config());
  const std::vector<float> parameters = AllParameters(adapter);
  const llama::Slot<float> slot{parameters.data(), nullptr};
  llama::Engine<float> engine(model.weights(),
                              layout,
                              {0, layers, layers, layers},
                              {.threads = Threads(), .positions = LongestOf(examples)});
  Evaluation evaluation;
  double loss = 0.0;
  int exact = 0;
  for (const auto& chosen : BatchOrder(examples, kEvaluationBatch, nullptr)) {
    const auto scores = engine.Score(SequencesOf(examples, chosen), {&slot, 1});
    for (const double row : scores.losses) loss += row;
    auto hit = scores.hits.begin();
    for (const std::size_t i : chosen) {
      const int answer = examples[i].answer_tokens();
      exact += std::all_of(hit, hit + answer, [](std::uint8_t h) { return h != 0; }) ? 1 : 0;
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

}  // namespace

Expected<Evaluation> Evaluate(const Model& model,
                              const Adapter* adapter,
                              const std::vector<corpus::Example>& examples) {
  return WithinMemory("evaluation", [&]() -> Expected<Evaluation> {
    if (auto sound = CheckExamples(examples, model.config()); !sound) {
      return tl::unexpected(sound.error());
    }
    if (adapter != nullptr) {
      if (auto sound = CheckAdapter(*adapter, model.config()); !sound) {
        return tl::unexpected(sound.error());
      }
    }
    return EvaluateAll(model, adapter, examples);
  });
}

}  // namespace dashf::train
