// Losses and gradients of batches on several threads: each takes some of the sequences through the
// whole pass, and their gradients are added in order. Deterministic for a given number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "llama/packed_batch.h"
#include "llama/pass.h"

namespace dashf::llama {

struct EngineOptions {
  Keep keep = Keep::kAll;
  int threads = 1;
  std::int64_t positions = 0;  // Of the longest sequence that will come.
};

template <class T>
class Engine {
 public:
  // `weights` and `layout` must outlive the engine.
  Engine(const Weights& weights,
         const AdapterLayout& layout,
         const LayerRange& range,
         const EngineOptions& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Where the hidden states come from that enter a layer above 0; called on several threads.
  void SetEntrance(EnterRows<T> enter) { pass_.enter = std::move(enter); }

  // Per slot the mean loss over its answer tokens. Its gradient is added to the slot's, as if the
  // slot were alone in the batch.
  std::vector<double> LossAndGradient(std::span<const Sequence> sequences,
                                      std::span<const Slot<T>> slots);

  // Per answer token, in order of the sequences: the loss, and whether the token is the most
  // probable one. Of a range that trains nothing.
  struct Scores {
    std::vector<double> losses;
    std::vector<std::uint8_t> hits;
  };
  Scores Score(std::span<const Sequence> sequences, std::span<const Slot<T>> slots);

  // Calls visit(batch, rows) with the hidden states that enter the range's last layer, for parts of
  // the sequences in order.
  void ForEachHidden(std::span<const Sequence> sequences,
                     std::span<const Slot<T>> slots,
                     const std::function<void(const PackedBatch&, Matrix<const T>)>& visit);

  // What the passes have needed at most so far, all threads together.
  std::size_t WorkspaceBytes() const;

 private:
  struct Block {
    std::unique_ptr<T[]> memory;
    std::int64_t elements = 0;
  };
  // A workspace for each of them.
  std::vector<Workspace<T>> Prepare(const std::vector<PackedBatch>& parts);
  // Runs the pass over all parts at once; each with its own slots.
  Scores RunParts(const std::vector<PackedBatch>& parts,
                  const std::vector<std::vector<Slot<T>>>& slots,
                  bool wants_hits);

  Rotary<T> rotary_;
  Pass<T> pass_;
  int threads_;
  std::vector<Block> blocks_;  // Per part.
};

}  // namespace dashf::llama
