// The memory of a pass over a batch: one block, whose size is known before the pass.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "llama/layer.h"

namespace dashf::llama {

// The layers of a pass, counted from 0. Rows enter layer `begin`: embeddings if it is 0, else
// hidden states that the caller kept. The loss is taken above layer end - 1. The adapters of the
// layers first_trained..last_trained - 1 get gradients; none if the two are equal.
struct LayerRange {
  int begin = 0;
  int first_trained = 0, last_trained = 0;
  int end = 0;

  bool Trains() const { return first_trained < last_trained; }
};

// What the backward finds of the forward: everything, or each layer's input alone, from which the
// layer is computed again (Chen et al. 2016, arXiv:1604.06174).
enum class Keep { kAll, kInputs };

struct BatchSize {
  std::int64_t rows = 0;       // N.
  std::int64_t loss_rows = 0;  // M.
  std::int64_t longest = 0;    // Rows of the longest sequence.
};

template <class T>
struct Workspace {
  std::vector<LayerState<T>> states;  // Of the layers begin..end - 1; some share their memory.
  LayerScratch<T> scratch;
  Matrix<T> top;  // (M, d): what the last layer gives out.
  T* top_inverse = nullptr;
  Matrix<T> dtop;  // (M, d)
  Matrix<T> d;     // (N, d): the gradient on its way down.
  T* logits = nullptr;
};

// Elements of T that a workspace takes, and a workspace laid out in so many at `memory`.
std::int64_t WorkspaceElements(const ModelConfig& config,
                               const AdapterLayout& layout,
                               const LayerRange& range,
                               Keep keep,
                               const BatchSize& size);
template <class T>
Workspace<T> LayOut(const ModelConfig& config,
                    const AdapterLayout& layout,
                    const LayerRange& range,
                    Keep keep,
                    const BatchSize& size,
                    T* memory);

}  // namespace dashf::llama
