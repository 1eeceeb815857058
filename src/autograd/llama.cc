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

// Of a layer: theta^(-2 i / head_dim) (Su et al. 2021, arXiv:2104.09864), where windowed layers may
// have a theta of their own; else with Llama 3's stretching: wavelengths above original /
// low_freq_factor are multiplied by `factor`, those below original / high_freq_factor are kept,
// those between are interpolated.
std::vector<double> RotaryFrequencies(const ModelConfig& config, int layer) {
  const bool own = config.WindowOf(layer) > 0 && config.rope_theta_windowed;
  const double theta = own ? *config.rope_theta_windowed : config.rope_theta;
  std::vector<double> frequencies;
  for (int i = 0; i < config.head_dim / 2; ++i) {
    double& frequency =
        frequencies.emplace_back(std::pow(theta, -2.0 * i / static_cast<double>(config.head_dim)));
    if (!config.Rotates(layer)) frequency = 0.0;
    if (own) continue;
    frequency /= config.rope_linear_factor;
    if (!config.rope_llama3) continue;
    const llama::Llama3Rope& rope = *config.rope_llama3;
    const double turns =
        rope.original_max_position_embeddings * frequency / (2.0 * std::numbers::pi);
    const double kept = std::clamp(
        (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor), 0.0, 1.0);
    frequency *= kept + (1.0 - kept) / rope.factor;
  }
  return frequencies;
}

Rotary RotaryTables(const ModelConfig& config,
                    int layer,
                    std::int64_t length,
                    at::ScalarType dtype) {
  const std::vector<double> frequencies = RotaryFrequencies(config, layer);
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

// A layer of one pass.
struct LayerPass {
  const ModelConfig& config;
  BatchShape shape;
  Rotary rotary;
  at::Tensor mask;  // [groups * T, T]: 0 where attention may look, else -infinity.
};

LayerPass MakePass(const ModelConfig& config, int layer, BatchShape shape, at::ScalarType dtype) {
  const double hidden = -std::numeric_limits<double>::infinity();
  const std::int64_t window = config.WindowOf(layer);
  at::Tensor mask = at::full({shape.length, shape.length}, hidden, dtype).triu(1);
  if (window > 0) {
    mask = mask + at::full({shape.length, shape.length}, hidden, dtype).tril(-window);
  }
  return {config,
          shape,
          RotaryTables(config, layer, shape.length, dtype),
          mask.repeat({config.heads / config.kv_heads, 1})};
}

// What the queries q [R * kv_heads, groups * T, head_dim] find in a layer's prompt, gated.
at::Tensor AttendPrompt(const ModelConfig& config,
                        const LlamaLayer& layer,
                        const PromptTensors& prompt,
                        const at::Tensor& q,
                        std::int64_t rows) {
  const std::int64_t head_dim = config.head_dim, kv_heads = config.kv_heads;
  const auto heads = [&](Projection p) {
    const Linear& linear = layer.projections[p];
    return at::linear(prompt.prompt, linear.weight, linear.bias)
        .view({-1, kv_heads, head_dim})
        .transpose(0, 1)
        .repeat({rows, 1, 1});
  };
  const at::Tensor scores = at::bmm(q, heads(kK).transpose(1, 2)) * config.AttentionScale();
  const at::Tensor weights = scores.softmax(2);
  return prompt.gate * at::bmm(weights, heads(kV));
}

// Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) of x [R * T, d]. Query head h
// belongs to key head h / groups; a group's queries are stacked, so that keys are never copied.
at::Tensor Attend(const LayerPass& pass,
                  const LlamaLayer& layer,
                  const LayerTensors* adapter,
                  const at::Tensor& x) {
  const auto project = [&](Projection p, const at::Tensor& input) {
    return Apply(layer.projections[p], adapter ? &adapter->lora[p] : nullptr, input);
  };
  const auto compared = [&](Projection p, llama::Norm norm) {  // Of queries or keys.
    at::Tensor heads =
        project(p, x).view({pass.shape.rows, pass.shape.length, -1, pass.config.head_dim});
    if (pass.config.head_norms) heads = RmsNorm(pass.config, heads, layer.norms[norm]);
    return Rotate(heads, pass.rotary);
  };
  const auto [rows, length] = pass.shape;
  const std::int64_t head_dim = pass.config.head_dim, kv_heads = pass.config.kv_heads;
  const std::int64_t groups = pass.config.heads / kv_heads;
  const at::Tensor q = compared(kQ, llama::kQueryNorm)
                           .view({rows, length, kv_heads, groups, head_dim})
                           .permute({0, 2, 3, 1, 4})
                           .reshape({rows * kv_heads, groups * length, head_dim});
  const at::Tensor k =
      compared(kK, llama::kKeyNorm).transpose(1, 2).reshape({rows * kv_heads, length, head_dim});
  const at::Tensor v = project(kV, x)
                           .view({rows, length, kv_heads, head_dim})
                           .transpose(1, 2)
                           .reshape({rows * kv_heads, length, head_dim});
  const double scale = pass.config.AttentionScale();
  const at::Tensor weights = at::baddbmm(pass.mask, q, k.transpose(1, 2), 1.0, scale).softmax(2);
  at::Tensor attended = at::bmm(weights, v);
  if (adapter != nullptr && adapter->prompt.prompt.defined()) {
    attended = attended + AttendPrompt(pass.config, layer, adapter->prompt, q, rows);
  }
  const at::Tensor mixed = attended.view({rows, kv_heads, groups, length, head_dim})
                               .permute({0, 3, 1, 2, 4})
                               .reshape({rows * length, kv_heads * groups * head_dim});
  return project(kO, mixed);
}

// Gated linear units (Shazeer 2020, arXiv:2002.05202).
at::Tensor FeedForward(const ModelConfig& config,
                       const LlamaLayer& layer,
                       const LayerTensors* adapter,
                       const at::Tensor& x) {
  const auto project = [&](Projection p, const at::Tensor& input) {
    return Apply(layer.projections[p], adapter ? &adapter->lora[p] : nullptr, input);
  };
  const at::Tensor gate = project(kGate, x);
  const bool silu = config.activation == llama::Activation::kSilu;
  return project(kDown, (silu ? at::silu(gate) : at::gelu(gate, "tanh")) * project(kUp, x));
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
    for (std::size_t n = 0; n < llama::kNorms; ++n) {
      if (!from.norms[n].empty()) layer.norms[n] = of_vector(from.norms[n]);
    }
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
  return at::embedding(weights.embedding, tokens) * weights.config.embedding_scale;
}

at::Tensor RmsNorm(const ModelConfig& config, const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor mean = x.square().mean(-1, /*keepdim=*/true);
  return x * at::rsqrt(mean + config.rms_norm_eps) * (weight + config.norm_offset);
}

at::Tensor ForwardLayers(const LlamaWeights& weights,
                         const AdapterTensors* adapter,
                         at::Tensor hidden,
                         BatchShape shape,
                         int first,
                         int last) {
  const ModelConfig& config = weights.config;
  for (int i = first; i < last; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const LlamaLayer& layer = weights.layers[index];
    const LayerTensors* tensors = adapter ? &(*adapter)[index] : nullptr;
    const LayerPass pass = MakePass(config, i, shape, hidden.scalar_type());
    const auto norm = [&](llama::Norm which, const at::Tensor& x) {
      return layer.norms[which].defined() ? RmsNorm(config, x, layer.norms[which]) : x;
    };
    const at::Tensor attended = Attend(pass, layer, tensors, norm(llama::kInputNorm, hidden));
    hidden = hidden + norm(llama::kAttentionOutNorm, attended);
    const at::Tensor fed =
        FeedForward(config, layer, tensors, norm(llama::kFeedForwardNorm, hidden));
    hidden = hidden + norm(llama::kFeedForwardOutNorm, fed);
  }
  return hidden;
}

}  // namespace dashf::autograd
