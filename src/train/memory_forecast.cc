#include "train/memory_forecast.h"

#include <algorithm>
#include <span>

#include "base/rng.h"
#include "llama/pass.h"
#include "llama/rotary.h"
#include "train/adapter_layout.h"
#include "train/batch_order.h"
#include "train/compute.h"
#include "train/evaluate.h"
#include "train/sequences.h"

namespace dashf::train {
namespace {

constexpr double kFloatBytes = sizeof(float);

// The largest of the parts that batches are cut into, one per thread: each part's workspace grows
// to its largest batch.
class LargestParts {
 public:
  void Add(const std::vector<corpus::Example>& examples, std::span<const std::size_t> batch) {
    const auto parts = llama::PackInParts(SequencesOf(examples, batch), 1, Threads());
    if (parts_.size() < parts.size()) parts_.resize(parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i) Add(llama::SizeOf(parts[i]), &parts_[i]);
  }

  double Bytes(const ModelConfig& model,
               const llama::AdapterLayout& layout,
               const llama::LayerRange& range,
               llama::Keep keep) const {
    double bytes = 0.0;
    for (const auto& sizes : parts_) {
      std::int64_t largest = 0;
      for (const llama::BatchSize& size : sizes) {
        largest = std::max(largest, llama::WorkspaceElements(model, layout, range, keep, size));
      }
      bytes += kFloatBytes * static_cast<double>(largest);
    }
    return bytes;
  }

 private:
  // Unless one that is there is no smaller in anything; those that the new one covers go.
  static void Add(const llama::BatchSize& size, std::vector<llama::BatchSize>* sizes) {
    const auto covers = [](const llama::BatchSize& a, const llama::BatchSize& b) {
      return a.rows >= b.rows && a.loss_rows >= b.loss_rows && a.longest >= b.longest;
    };
    if (std::ranges::any_of(*sizes, [&](const auto& other) { return covers(other, size); })) return;
    std::erase_if(*sizes, [&](const auto& other) { return covers(size, other); });
    sizes->push_back(size);
  }

  std::vector<std::vector<llama::BatchSize>> parts_;  // Per part.
};

// Of the passes that go through the examples in order of their lengths.
LargestParts InOrder(const std::vector<corpus::Example>& examples, int batch_size) {
  LargestParts largest;
  for (const auto& batch : BatchOrder(examples, batch_size, nullptr)) largest.Add(examples, batch);
  return largest;
}

// Of the batches that the training draws; of its first ones, where it is long, for the rest are
// drawn alike.
LargestParts Drawn(const std::vector<corpus::Example>& examples, const TrainOptions& options) {
  constexpr int kBatchesMax = 20'000;
  LargestParts largest;
  Rng order = Rng(options.seed).Stream("batches");
  const int step_size = options.batch_size * options.accumulate;
  const auto batch_size = static_cast<std::size_t>(options.batch_size);
  const int steps = PlannedSteps(options, examples.size());
  for (int step = 0, batches = 0; step < steps && batches < kBatchesMax;) {
    for (const auto& chosen : BatchOrder(examples, step_size, &order)) {
      if (step++ == steps || batches >= kBatchesMax) break;
      for (std::size_t begin = 0; begin < chosen.size(); begin += batch_size, ++batches) {
        const std::size_t count = std::min(batch_size, chosen.size() - begin);
        largest.Add(examples, std::span(chosen).subspan(begin, count));
      }
    }
  }
  return largest;
}

double RotaryBytes(const ModelConfig& model, const std::vector<corpus::Example>& examples) {
  const std::int64_t elements = llama::Rotary<float>::Elements(model, LongestOf(examples));
  return kFloatBytes * static_cast<double>(elements);
}

}  // namespace

MemoryForecast ForetellMemory(const ModelConfig& model,
                              const llama::Storage& storage,
                              const std::vector<corpus::Example>& examples,
                              const std::vector<corpus::Example>& held_out,
                              int first,
                              int last,
                              UserObjective objective,
                              const TrainOptions& options,
                              const Adapter& adapter) {
  const llama::AdapterLayout layout = LayoutOf(&adapter, model);
  const auto floats = [](std::int64_t count) { return kFloatBytes * static_cast<double>(count); };
  const auto at = [&](int layer) { return layout.layers[static_cast<std::size_t>(layer)]; };
  const double whole = floats(layout.size);
  const double trained = floats(at(last - 1).end - at(first - 1).begin);
  const int below = first - 1, layers = model.layers;

  MemoryForecast common;
  common.weights = static_cast<double>(llama::WeightBytes(model, storage));
  // Allowances, from what docs/engine-figures.md measures: what products of float32
  // take per thread, and what those of bfloat16 prepare.
  common.libraries = 6e6 + 5e6 * Threads();
  if (storage.arithmetic == llama::Arithmetic::kBFloat16) common.libraries += 8e6;

  // The adapter in training, the engine's copy; the gradients of each thread but the first; of
  // the trained layers parameters, gradient, what AdamW remembers and the best ones, and these
  // again as the last state and as a checkpoint's bytes.
  MemoryForecast training = common;
  const double accumulated = options.accumulate > 1 ? trained : 0.0;
  training.adapter = whole * (2 + Threads()) + 5 * trained + accumulated + 8 * trained;
  const int end = objective == UserObjective::kEarlyExit ? last : layers;
  const auto keep = options.recompute ? llama::Keep::kInputs : llama::Keep::kAll;
  training.passes = RotaryBytes(model, examples) +
                    Drawn(examples, options).Bytes(model, layout, {below, below, last, end}, keep);
  MemoryForecast largest = training;
  const auto compare = [&](const MemoryForecast& stage) {
    if (stage.Total() > largest.Total()) largest = stage;
  };

  if (below > 0) {
    // Pages of a file go when another needs their room.
    const bool in_memory = options.cache_folder.empty();
    largest.hidden_states =
        in_memory ? floats(RowBegins(examples).back() * model.hidden_size) : 0.0;
    MemoryForecast hidden = common;
    hidden.hidden_states = largest.hidden_states;
    hidden.adapter = whole * 3 + 4 * trained;
    hidden.passes = 2 * RotaryBytes(model, examples) +
                    InOrder(examples, options.batch_size)
                        .Bytes(model, layout, {0, first, first, first}, llama::Keep::kAll);
    compare(hidden);
  }
  if (!held_out.empty()) {
    MemoryForecast scoring = common;
    scoring.adapter = whole * 2 + 4 * trained;
    scoring.passes = RotaryBytes(model, held_out) +
                     InOrder(held_out, kEvaluationBatch)
                         .Bytes(model, layout, {0, layers, layers, layers}, llama::Keep::kAll);
    compare(scoring);
  }
  return largest;
}

}  // namespace dashf::train
