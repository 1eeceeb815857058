// A batch through a range of layers to its losses, and back to the adapters' gradients.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "llama/workspace.h"

namespace dashf::llama {

// Writes the hidden states (rows, d) with which the sequence of this key enters a layer above 0.
template <class T>
using EnterRows = std::function<void(std::int64_t key, Matrix<T> rows)>;

template <class T>
struct Pass {
  const Weights* weights = nullptr;
  const AdapterLayout* layout = nullptr;
  const Rotary<T>* rotary = nullptr;
  LayerRange range;
  Keep keep = Keep::kAll;
  EnterRows<T> enter;  // Not called for sequences that enter layer 0.
};

BatchSize SizeOf(const PackedBatch& batch);

// Per loss row -log p(target) through the final norm and the head and, where `hits` is not empty,
// whether the target is the most probable token. Adds to the gradients of the slots' trained
// layers those of sum(loss_weights loss).
template <class T>
void RunPass(const Pass<T>& pass,
             const PackedBatch& batch,
             std::span<const Slot<T>> slots,
             Workspace<T>* workspace,
             std::span<double> losses,
             std::span<std::uint8_t> hits);

// The hidden states (N, d) that enter the pass's last layer, in the workspace.
template <class T>
Matrix<T> EnterLastLayer(const Pass<T>& pass,
                         const PackedBatch& batch,
                         std::span<const Slot<T>> slots,
                         Workspace<T>* workspace);

}  // namespace dashf::llama
