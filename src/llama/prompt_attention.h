// LLaMA-Adapter's prompts (Zhang et al. 2023, arXiv:2303.16199) as PEFT's ADAPTION_PROMPT has them:
// beside causal attention, every query also attends to P learnt vectors by a softmax of its own and
// without rotation of their keys, and a learnt gate scales what comes of it.
#pragma once

#include <span>

#include "llama/adapter_layout.h"
#include "llama/attention.h"
#include "llama/linear.h"

namespace dashf::llama {

// Elements of `scratch` for prompts of this length.
std::int64_t PromptScratchElements(const ModelConfig& config, int length);

// out += gate softmax(scale q (W_k prompt)') W_v prompt, with the layer's frozen W_k,
// W_v. q, out (M, heads head_dim), q after its rotation.
template <class T>
void PromptForward(const Linear<T>& keys_values,
                   std::span<const SlotRows> slots,
                   ConstMatrix<T> q,
                   T* tile,
                   T* scratch,
                   Matrix<T> out);

// Adds to dq; adds the gradients of prompt and gate to the slot's where `trained`.
template <class T>
void PromptBackward(const Linear<T>& keys_values,
                    std::span<const SlotRows> slots,
                    ConstMatrix<T> q,
                    ConstMatrix<T> dout,
                    bool trained,
                    T* tile,
                    T* scratch,
                    Matrix<T> dq);

}  // namespace dashf::llama
