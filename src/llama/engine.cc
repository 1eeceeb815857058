#include "llama/engine.h"

#include "base/check.h"
#include "llama/huge_pages.h"
#include "llama/threads.h"

namespace dashf::llama {
namespace {

// Where each part's losses begin in the whole batch's.
std::vector<std::size_t> LossBegins(const std::vector<PackedBatch>& parts) {
  std::vector<std::size_t> begins = {0};
  for (const PackedBatch& part : parts) begins.push_back(begins.back() + part.targets.size());
  return begins;
}

}  // namespace

template <class T>
Engine<T>::Engine(const Weights& weights,
                  const AdapterLayout& layout,
                  const LayerRange& range,
                  const EngineOptions& options)
    : rotary_(weights.config, options.positions),
      pass_{.weights = &weights,
            .layout = &layout,
            .rotary = &rotary_,
            .range = range,
            .keep = options.keep,
            .enter = {}},
      threads_(options.threads) {
  DASHF_CHECK(0 <= range.begin && range.begin <= range.first_trained);
  DASHF_CHECK(range.first_trained <= range.last_trained && range.last_trained <= range.end);
  DASHF_CHECK(range.begin < range.end && range.end <= weights.config.layers);
}

template <class T>
std::vector<Workspace<T>> Engine<T>::Prepare(const std::vector<PackedBatch>& parts) {
  if (blocks_.size() < parts.size()) blocks_.resize(parts.size());
  const ModelConfig& config = pass_.weights->config;
  std::vector<Workspace<T>> workspaces;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const BatchSize size = SizeOf(parts[i]);
    Block& block = blocks_[i];
    const std::int64_t elements =
        WorkspaceElements(config, *pass_.layout, pass_.range, pass_.keep, size);
    if (block.elements < elements) {
      block = {};  // The old one first, so that the two never stand side by side.
      const auto count = static_cast<std::size_t>(elements);
      block = {std::make_unique_for_overwrite<T[]>(count), elements};
      AskForHugePages(block.memory.get(), count * sizeof(T));
    }
    workspaces.push_back(
        LayOut(config, *pass_.layout, pass_.range, pass_.keep, size, block.memory.get()));
  }
  return workspaces;
}

template <class T>
typename Engine<T>::Scores Engine<T>::RunParts(const std::vector<PackedBatch>& parts,
                                               const std::vector<std::vector<Slot<T>>>& slots,
                                               bool wants_hits) {
  std::vector<Workspace<T>> workspaces = Prepare(parts);
  const std::vector<std::size_t> begins = LossBegins(parts);
  Scores scores;
  scores.losses.resize(begins.back());
  scores.hits.resize(wants_hits ? begins.back() : 0);
  const auto run = [&](std::size_t i) {
    const std::size_t begin = begins[i], count = begins[i + 1] - begin;
    RunPass<T>(
        pass_,
        parts[i],
        slots[i],
        &workspaces[i],
        std::span(scores.losses).subspan(begin, count),
        wants_hits ? std::span(scores.hits).subspan(begin, count) : std::span<std::uint8_t>());
  };
  const ThreadScope scope(threads_);
  if (parts.size() == 1) {
    run(0);  // The products have all threads.
    return scores;
  }
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(parts.size()))
  for (std::size_t i = 0; i < parts.size(); ++i) run(i);
  return scores;
}

template <class T>
std::vector<double> Engine<T>::LossAndGradient(std::span<const Sequence> sequences,
                                               std::span<const Slot<T>> slots) {
  DASHF_CHECK(pass_.range.Trains());
  const std::vector<PackedBatch> parts =
      PackInParts(sequences, static_cast<int>(slots.size()), threads_);
  // The first part adds to the slots' own gradients, every other to gradients of its own.
  const auto& layers = pass_.layout->layers;
  const std::int64_t begin = layers[static_cast<std::size_t>(pass_.range.first_trained)].begin;
  const std::int64_t end = layers[static_cast<std::size_t>(pass_.range.last_trained) - 1].end;
  const auto size = static_cast<std::size_t>(pass_.layout->size);
  std::vector<std::vector<Slot<T>>> part_slots(parts.size(), {slots.begin(), slots.end()});
  std::vector<std::vector<T>> gradients;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    for (Slot<T>& slot : part_slots[i]) slot.gradient = gradients.emplace_back(size).data();
  }
  const Scores scores = RunParts(parts, part_slots, false);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    T* const total = slots[i % slots.size()].gradient;
    const T* const added = gradients[i].data();
    for (std::int64_t j = begin; j < end; ++j) total[j] += added[j];
  }
  std::vector<double> means(slots.size(), 0.0);
  auto loss = scores.losses.begin();
  for (const PackedBatch& part : parts) {
    for (std::size_t row = 0; row < part.targets.size(); ++row) {
      means[static_cast<std::size_t>(part.loss_slots[row])] += part.loss_weights[row] * *loss++;
    }
  }
  return means;
}

template <class T>
typename Engine<T>::Scores Engine<T>::Score(std::span<const Sequence> sequences,
                                            std::span<const Slot<T>> slots) {
  DASHF_CHECK(!pass_.range.Trains());
  const std::vector<PackedBatch> parts =
      PackInParts(sequences, static_cast<int>(slots.size()), threads_);
  return RunParts(parts, {parts.size(), {slots.begin(), slots.end()}}, true);
}

template <class T>
void Engine<T>::ForEachHidden(
    std::span<const Sequence> sequences,
    std::span<const Slot<T>> slots,
    const std::function<void(const PackedBatch&, Matrix<const T>)>& visit) {
  const std::vector<PackedBatch> parts =
      PackInParts(sequences, static_cast<int>(slots.size()), threads_);
  std::vector<Workspace<T>> workspaces = Prepare(parts);
  std::vector<Matrix<T>> hidden(parts.size());
  {
    const ThreadScope scope(threads_);
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(parts.size()))
    for (std::size_t i = 0; i < parts.size(); ++i) {
      hidden[i] = EnterLastLayer(pass_, parts[i], slots, &workspaces[i]);
    }
  }
  for (std::size_t i = 0; i < parts.size(); ++i) visit(parts[i], hidden[i]);
}

template <class T>
std::size_t Engine<T>::WorkspaceBytes() const {
  std::size_t bytes = 0;
  for (const Block& block : blocks_) bytes += static_cast<std::size_t>(block.elements) * sizeof(T);
  return bytes;
}

template class Engine<float>;
template class Engine<double>;

}  // namespace dashf::llama
