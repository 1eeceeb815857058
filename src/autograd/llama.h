// The Llama forward pass on libtorch tensors, with LoRA on any projection or prompts in attention;
// gradients come from autograd. Internal to this module. All tensors share one floating dtype:
// float32 in use, float64 where tests compare with central differences.
//
// A batch of R right-padded sequences of T positions is kept flat, [R * T, d]: position t of
// sequence r is row r * T + t. Attention is causal, so what follows a sequence's last token can
// reach none of its rows and no padding mask is needed.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llama/config.h"
#include "train/model.h"

namespace dashf::autograd {

using llama::HasBias;
using llama::kProjectionNames;
using llama::Projection;
using llama::WeightShape;
using enum llama::Projection;
using train::Model;
using train::ModelConfig;

struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out], or undefined.
};

struct LlamaLayer {
  std::array<at::Tensor, llama::kNorms> norms;  // [NormWidth], or undefined.
  std::array<Linear, kProjections> projections;
};

struct LlamaWeights {
  ModelConfig config;
  at::Tensor embedding;   // [vocab, d]
  at::Tensor final_norm;  // [d]
  at::Tensor head;        // [vocab, d]; the embedding itself if tied.
  std::vector<LlamaLayer> layers;
};

// Calls visit(name, tensor) for every tensor, by its Hugging Face name; a tied head is left out.
template <class Weights, class Visit>
void ForEachTensor(Weights& weights, Visit visit) {
  visit(std::string("model.embed_tokens.weight"), weights.embedding);
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    auto& layer = weights.layers[i];
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    for (std::size_t n = 0; n < llama::kNorms; ++n) {
      const std::string_view name = NormName(weights.config, static_cast<llama::Norm>(n));
      if (!name.empty()) visit(prefix + std::string(name) + ".weight", layer.norms[n]);
    }
    for (std::size_t p = 0; p < kProjections; ++p) {
      const std::string name =
          prefix + (p < kGate ? "self_attn." : "mlp.") + std::string(kProjectionNames[p]);
      visit(name + ".weight", layer.projections[p].weight);
      if (HasBias(weights.config, static_cast<Projection>(p))) {
        visit(name + ".bias", layer.projections[p].bias);
      }
    }
  }
  visit(std::string("model.norm.weight"), weights.final_norm);
  if (!weights.config.tied_embeddings) visit(std::string("lm_head.weight"), weights.head);
}

// The model's weights as tensors: the same memory where it holds float32, which then stays alive as
// long as they do; decoded copies otherwise. Not to be written to.
LlamaWeights TensorsOf(const Model& model);
// The reverse, a float32 copy.
Model ModelOf(const LlamaWeights& weights);

// The same weights in another floating dtype.
LlamaWeights Convert(const LlamaWeights& weights, at::ScalarType dtype);

// Factors of one projection; undefined where the adapter leaves it alone.
struct LoraFactors {
  at::Tensor a;  // [rank, in]
  at::Tensor b;  // [out, rank]
  double scale = 1.0;
};
// Of one layer (adapter.h); undefined with LoRA.
struct PromptTensors {
  at::Tensor prompt;  // [length, d]
  at::Tensor gate;    // [1]
};
struct LayerTensors {
  std::array<LoraFactors, kProjections> lora;
  PromptTensors prompt;
};
using AdapterTensors = std::vector<LayerTensors>;

struct BatchShape {
  std::int64_t rows = 0;    // R.
  std::int64_t length = 0;  // T.
};

// tokens [N] of int64 to the hidden states [N, d] that enter the first layer.
at::Tensor Embed(const LlamaWeights& weights, const at::Tensor& tokens);

// Hidden states [R * T, d] through layers first..last - 1 (0-based, half open).
at::Tensor ForwardLayers(const LlamaWeights& weights,
                         const AdapterTensors* adapter,
                         at::Tensor hidden,
                         BatchShape shape,
                         int first,
                         int last);

// RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467) of x's last dimension:
// x / sqrt(mean(x^2) + eps) * (offset + weight).
at::Tensor RmsNorm(const ModelConfig& config, const at::Tensor& x, const at::Tensor& weight);

}  // namespace dashf::autograd
