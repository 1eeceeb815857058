#include "autograd/llama.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace dashf::autograd {
namespace {

// cos and sin of position * frequency, each [T, 1, head_dim / 2].
struct Rotary {
  at::Tensor cos, sin;
};

// Frequencies theta^(-2 i / head_dim) (Su et al. 2021, arXiv:2104.09864), with Llama 3's
// stretching: wavelengths above original / low_freq_factor are multiplied by `factor`, those below
// original / high_freq_factor are kept, those between are interpolated.
std::vector<double> RotaryFrequencies(const ModelConfig& config) {
  std::vector<double> frequencies;
  for (int i = 0; i < config.head_dim / 2; ++i) {
    double frequency = std::pow(config.rope_theta, -2.0 * i / config.head_dim);
    if (config.rope_llama3) {
      const llama::Llama3Rope& rope = *config.rope_llama3;
      const double turns =
          rope.original_max_position_embeddings * frequency / (2.0 * std::numbers::pi);
      const double kept = std::clamp(
          (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor),
          0.0,
          1.0);
      frequency *= kept + (1.0 - kept) / rope.factor;
    }
    frequencies.push_back(frequency);
  }
  return frequencies;
}

Rotary RotaryTables(const ModelConfig& config, std::int64_t length, at::ScalarType dtype) {
  const std::vector<double> frequencies = RotaryFrequencies(config);
  const auto half = static_cast<std::int64_t>(frequencies.size());
  at::Tensor angles = at::empty({length, 1, half}, at::kDouble);
  double* angle = angles.data_ptr<double>();
  for (std::int64_t t = 0; t < length; ++t) {
    for (const double frequency : frequencies) *angle++ = static_cast<double>(t) * frequency;
  }
  return {angles.cos().to(dtype), angles.sin().to(dtype)};
}

// x [R, T, heads, head_dim], rotate-half layout: element i pairs with element i + head_dim / 2.
at::Tensor Rotate(const at::Tensor& x, const Rotary& rotary) {
  const std::int64_t half = x.size(3) / 2;
  const at::Tensor low = x.narrow(3, 0, half), high = x.narrow(3, half, half);
  return at::cat({low * rotary.cos - high * rotary.sin, high * rotary.cos + low * rotary.sin}, 3);
}

// y = x W' + bias + s (x A') B', for rows x [N, in].
at::Tensor Apply(const Linear& linear, const LoraFactors* lora, const at::Tensor& x) {
  const at::Tensor y = at::linear(x, linear.weight, linear.bias);
  if (lora == nullptr || !lora->a.defined()) return y;
  return at::addmm(y, at::mm(x, lora->a.t()), lora->b.t(), 1.0, lora->scale);
}

// What every layer of one pass shares.
struct Pass {
  const ModelConfig& config;
  BatchShape shape;
  Rotary rotary;
  at::Tensor mask;  // [groups * T, T]: 0 where attention may look, else -infinity.
};

Pass MakePass(const ModelConfig& config, BatchShape shape, at::ScalarType dtype) {
  const at::Tensor mask =
      at::full({shape.length, shape.length}, -std::numeric_limits<double>::infinity(), dtype)
          .triu(1);
  return {config,
          shape,
          RotaryTables(config, shape.length, dtype),
          mask.repeat({config.heads / config.kv_heads, 1})};
}

// What the queries q [R * kv_heads, groups * T, head_dim] find in a layer's prompt, gated.
at::Tensor AttendPrompt(const LlamaLayer& layer,
                        const PromptTensors& prompt,
                        const at::Tensor& q,
                        std::int64_t rows,
                        std::int64_t kv_heads) {
  const std::int64_t head_dim = q.size(2);
  const auto heads = [&](Projection p) {
    const Linear& linear = layer.projections[p];
    return at::linear(prompt.prompt, linear.weight, linear.bias)
        .view({-1, kv_heads, head_dim})
        .transpose(0, 1)
        .repeat({rows, 1, 1});
  };
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
  const at::Tensor weights = (at::bmm(q, heads(kK).transpose(1, 2)) * scale).softmax(2);
  return prompt.gate * at::bmm(weights, heads(kV));
}

// Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) of x [R * T, d]. Query head h
// belongs to key head h / groups; a group's queries are stacked, so that keys are never copied.
at::Tensor Attend(const Pass& pass,
                  const LlamaLayer& layer,
                  const LayerTensors* adapter,
                  const at::Tensor& x) {
  const auto project = [&](Projection p, const at::Tensor& input) {
    return Apply(layer.projections[p], adapter ? &adapter->lora[p] : nullptr, input);
  };
  const auto [rows, length] = pass.shape;
  const std::int64_t head_dim = pass.config.head_dim, kv_heads = pass.config.kv_heads;
  const std::int64_t groups = pass.config.heads / kv_heads;
  const at::Tensor q = Rotate(project(kQ, x).view({rows, length, -1, head_dim}), pass.rotary)
                           .view({rows, length, kv_heads, groups, head_dim})
                           .permute({0, 2, 3, 1, 4})
                           .reshape({rows * kv_heads, groups * length, head_dim});
  const at::Tensor k = Rotate(project(kK, x).view({rows, length, kv_heads, head_dim}), pass.rotary)
                           .transpose(1, 2)
                           .reshape({rows * kv_heads, length, head_dim});
  const at::Tensor v = project(kV, x)
                           .view({rows, length, kv_heads, head_dim})
                           .transpose(1, 2)
                           .reshape({rows * kv_heads, length, head_dim});
  const double softmax_scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
  const at::Tensor weights =
      at::baddbmm(pass.mask, q, k.transpose(1, 2), 1.0, softmax_scale).softmax(2);
  at::Tensor attended = at::bmm(weights, v);
  if (adapter != nullptr && adapter->prompt.prompt.defined()) {
    attended = attended + AttendPrompt(layer, adapter->prompt, q, rows, kv_heads);
  }
  const at::Tensor mixed = attended.view({rows, kv_heads, groups, length, head_dim})
                               .permute({0, 3, 1, 2, 4})
                               .reshape({rows * length, kv_heads * groups * head_dim});
  return project(kO, mixed);
}

// SwiGLU (Shazeer 2020, arXiv:2002.05202).
at::Tensor FeedForward(const LlamaLayer& layer, const LayerTensors* adapter, const at::Tensor& x) {
  const auto project = [&](Projection p, const at::Tensor& input) {
    return Apply(layer.projections[p], adapter ? &adapter->lora[p] : nullptr, input);
  };
  return project(kDown, at::silu(project(kGate, x)) * project(kUp, x));
}

}  // namespace

LlamaWeights TensorsOf(const Model& model) {
  const llama::Weights& plain = model.weights();
  const auto keep = [owner = model.owner()](void*) {};
  const auto of_vector = [&](const std::vector<float>& values) {
    return at::from_blob(const_cast<float*>(values.data()), {std::ssize(values)}, keep, at::kFloat);
  };
  const auto of_rows = [&](const llama::StoredMatrix& matrix,
                           std::int64_t first,
                           std::int64_t rows) {
    if (matrix.format() == llama::Format::kFloat32) {
      float* const at = const_cast<float*>(matrix.Floats().Row(first));
      return at::from_blob(at, {rows, matrix.columns()}, keep, at::kFloat);
    }
    at::Tensor decoded = at::empty({rows, matrix.columns()}, at::kFloat);
    matrix.Decode(first, llama::Matrix<float>(decoded.data_ptr<float>(), rows, matrix.columns()));
    return decoded;
  };
  LlamaWeights weights;
  weights.config = plain.config;
  weights.embedding = of_rows(plain.embedding, 0, plain.embedding.rows());
  weights.final_norm = of_vector(plain.final_norm);
  weights.head = plain.config.tied_embeddings
                     ? weights.embedding
                     : of_rows(plain.untied_head, 0, plain.untied_head.rows());
  for (const llama::LayerWeights& from : plain.layers) {
    LlamaLayer& layer = weights.layers.emplace_back();
    layer.input_norm = of_vector(from.input_norm);
    layer.post_attention_norm = of_vector(from.post_attention_norm);
    for (std::size_t p = 0; p < kProjections; ++p) {
      const auto place = llama::PlaceOf(plain.config, static_cast<Projection>(p));
      Linear& linear = layer.projections[p];
      linear.weight = of_rows(from.matrices[place.group], place.first_row, place.rows);
      if (!from.biases[place.group].empty()) {
        linear.bias = of_vector(from.biases[place.group]).narrow(0, place.first_row, place.rows);
      }
    }
  }
  return weights;
}

Model ModelOf(const LlamaWeights& weights) {
  llama::Weights plain = llama::MakeWeights(weights.config, {});
  ForEachTensor(weights, [&](const std::string& name, const at::Tensor& tensor) {
    const at::Tensor values = tensor.detach().to(at::kFloat).contiguous();
    llama::SetTensor(name, values.data_ptr<float>(), &plain);
  });
  return Model(std::move(plain));
}

LlamaWeights Convert(const LlamaWeights& weights, at::ScalarType dtype) {
  LlamaWeights converted = weights;
  ForEachTensor(converted,
                [&](const std::string&, at::Tensor& tensor) { tensor = tensor.to(dtype); });
  if (converted.config.tied_embeddings) converted.head = converted.embedding;
  return converted;
}

at::Tensor Embed(const LlamaWeights& weights, const at::Tensor& tokens) {
  return at::embedding(weights.embedding, tokens);
}

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + eps) * weight;
}

at::Tensor ForwardLayers(const LlamaWeights& weights,
                         const AdapterTensors* adapter,
                         at::Tensor hidden,
                         BatchShape shape,
                         int first,
                         int last) {
  const ModelConfig& config = weights.config;
  const Pass pass = MakePass(config, shape, hidden.scalar_type());
  for (int i = first; i < last; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const LlamaLayer& layer = weights.layers[index];
    const LayerTensors* tensors = adapter ? &(*adapter)[index] : nullptr;
    const double eps = config.rms_norm_eps;
    hidden = hidden + Attend(pass, layer, tensors, RmsNorm(hidden, layer.input_norm, eps));
    hidden = hidden + FeedForward(layer, tensors, RmsNorm(hidden, layer.post_attention_norm, eps));
  }
  return hidden;
}

}  // namespace dashf::autograd
