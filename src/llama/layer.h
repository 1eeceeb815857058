// One layer, forward and backward:
//   middle = x + o_proj(attention(norm(x)));   out = middle + down_proj(gated(norm(middle))).
// Where the model has output norms, the result of o_proj and of down_proj is normed before it is
// added; where it has head norms, queries and keys are, head by head, before they are turned.
//
// The last layer of a pass is narrow: nothing above it but the loss reads its rows, so its queries
// and all that follows them are computed for the M loss rows alone, its keys and values for all N.
// Below, Q is the number of rows that leave the layer: M if narrow, else N.
#pragma once

#include <array>
#include <span>

#include "llama/adapter_layout.h"
#include "llama/linear.h"
#include "llama/packed_batch.h"
#include "llama/rotary.h"
#include "llama/weights.h"

namespace dashf::llama {

// What a block gives out before it is normed, where it is; unset elsewhere.
template <class T>
struct BlockOutput {
  Matrix<T> rows;        // (Q, d)
  T* inverse = nullptr;  // (Q)
};

// What a layer's backward needs of its forward. Queries and keys are turned, but where they are
// normed: there they are as projected, and are normed and turned again.
template <class T>
struct LayerState {
  Matrix<T> input;              // (N, d)
  T* input_inverse = nullptr;   // (N)
  Matrix<T> q;                  // (Q, heads head_dim)
  Matrix<T> kv;                 // (N, 2 kv_heads head_dim): keys, then values.
  Matrix<T> qkv;                // The two side by side; unset if narrow, where they lie apart.
  Matrix<T> log_sum;            // (Q, heads)
  Matrix<T> attended;           // (Q, heads head_dim)
  Matrix<T> middle;             // (Q, d)
  T* middle_inverse = nullptr;  // (Q)
  Matrix<T> gate_up;            // (Q, 2 f)
  BlockOutput<T> attention_out, feed_forward_out;
  std::array<Matrix<T>, kGroups> h;  // LoRA's (rows of the group, R); of attention in: q, k, v, or
  Matrix<T> h_kv;                    // q alone and k, v here if narrow.
};

// What one layer uses at a time; every layer may have it after another.
template <class T>
struct LayerScratch {
  Matrix<T> normed, dnormed;  // (N, d)
  Matrix<T> picked, dpicked;  // (M, d), of a narrow layer.
  Matrix<T> act, dact;        // (N, f)
  Matrix<T> dattended;        // (N, heads head_dim)
  Matrix<T> dqkv;             // (N, (heads + 2 kv_heads) head_dim)
  Matrix<T> normed_qk;        // (N, (heads + kv_heads) head_dim), and beside it
  T* head_inverse = nullptr;  // (heads + kv_heads, N), of a model with head norms.
  T* attention = nullptr;     // AttentionScratchElements(longest sequence).
  T* prompt = nullptr;        // PromptScratchElements(...).
  LinearScratch<T> linear;
};

template <class T>
struct Layer {
  const Weights* weights = nullptr;
  const AdapterLayout* layout = nullptr;
  const Rotary<T>* rotary = nullptr;
  const PackedBatch* batch = nullptr;
  EnteredRows rows;  // The N rows.
  std::span<const Slot<T>> slots;
  int index = 0;
  bool narrow = false;
  bool trained = false;   // Its adapter's gradient is wanted,
  bool wants_dx = false;  // and that of its input.
};

// state.input (N, d) to out (Q, d). With out unset only the state is computed: it is then what it
// was after the call with out.
template <class T>
void LayerForward(const Layer<T>& layer,
                  const LayerScratch<T>& scratch,
                  LayerState<T>* state,
                  Matrix<T> out);

// From d, the gradient of out (Q, d), which it overwrites, to dx (N, d), the gradient of the input,
// where that is wanted: the same memory as d, or apart from it if the layer is narrow. Adds to the
// slots' gradients. state.gate_up is used up.
template <class T>
void LayerBackward(const Layer<T>& layer,
                   const LayerScratch<T>& scratch,
                   LayerState<T>* state,
                   Matrix<T> d,
                   Matrix<T> dx);

}  // namespace dashf::llama
