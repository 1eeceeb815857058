// A frozen model's weights on plain memory. Projections that read the same input are stored as one
// matrix, their rows one below the other, so that one product computes them all.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llama/config.h"
#include "llama/rms_norm.h"
#include "llama/stored_matrix.h"

namespace dashf::llama {

enum Group { kAttentionIn, kAttentionOut, kFeedForwardIn, kFeedForwardOut, kGroups };

// Where a projection's rows lie.
struct ProjectionPlace {
  Group group = kAttentionIn;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
};
ProjectionPlace PlaceOf(const ModelConfig& config, Projection projection);
// The projections of a group are kFirst[group]..kFirst[group + 1] - 1.
inline constexpr std::array<int, kGroups + 1> kFirstProjection = {
    kQ, kO, kGate, kDown, kProjections};

struct LayerWeights {
  std::array<std::vector<float>, kNorms> norms;  // [NormWidth], or empty.
  std::array<StoredMatrix, kGroups> matrices;
  std::array<std::vector<float>, kGroups> biases;  // One per row, or empty.
};

// In which format to keep them; norms and biases stay float32.
struct Storage {
  Format projections = Format::kFloat32;
  Format tables = Format::kFloat32;              // Embedding and output head.
  Arithmetic arithmetic = Arithmetic::kFloat32;  // Of all of them; kBFloat16 demands both so.
};

struct Weights {
  ModelConfig config;
  StoredMatrix embedding;         // [vocab, d]
  std::vector<float> final_norm;  // [d]
  StoredMatrix untied_head;       // [vocab, d]; empty if tied.
  std::vector<LayerWeights> layers;

  const StoredMatrix& Head() const { return config.tied_embeddings ? embedding : untied_head; }
  RmsNorm NormOf(std::size_t layer, Norm norm) const;
  RmsNorm FinalNorm() const;
  std::size_t Bytes() const;
};

// What is usually meant by a format: of the ladder float32, bfloat16, int8, NF4 each takes less
// memory than the one before it. NF4 keeps the tables in int8, for errors of the head reach the
// loss as they are.
Storage StorageOf(Format format);

// All shapes as the configuration says, every number zero.
Weights MakeWeights(const ModelConfig& config, const Storage& storage);
// What these take in memory.
std::size_t WeightBytes(const ModelConfig& config, const Storage& storage);
// The same weights, kept in another format. From float32 to float32: the same bits.
Weights Restore(const Weights& weights, const Storage& storage);

// A token's embedding as the first layer gets it; row (1, d).
template <class T>
void Embed(const Weights& weights, int token, Matrix<T> row);

// Calls visit(name, shape) for every tensor of a model, by its Hugging Face name, [out, in] or [n];
// a tied head is left out.
template <class Visit>
void ForEachTensor(const ModelConfig& config, Visit visit) {
  const std::int64_t d = config.hidden_size, vocab = config.vocab_size;
  using Shape = std::vector<std::int64_t>;
  visit(std::string("model.embed_tokens.weight"), Shape{vocab, d});
  for (int i = 0; i < config.layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    for (int n = 0; n < kNorms; ++n) {
      const auto norm = static_cast<Norm>(n);
      const std::string_view name = NormName(config, norm);
      if (name.empty()) continue;
      visit(prefix + std::string(name) + ".weight", Shape{NormWidth(config, norm)});
    }
    for (int p = 0; p < kProjections; ++p) {
      const auto projection = static_cast<Projection>(p);
      const std::string name = prefix + (p < kGate ? "self_attn." : "mlp.") +
                               std::string(kProjectionNames[static_cast<std::size_t>(p)]);
      const auto [out, in] = WeightShape(config, projection);
      visit(name + ".weight", Shape{out, in});
      if (HasBias(config, projection)) visit(name + ".bias", Shape{out});
    }
  }
  visit(std::string("model.norm.weight"), Shape{d});
  if (!config.tied_embeddings) visit(std::string("lm_head.weight"), Shape{vocab, d});
}

// Stores one of those tensors; `values` are row-major and fill its shape.
void SetTensor(std::string_view name, const float* values, Weights* weights);
// The same of `count` rows of a matrix, the first being `first`.
void SetRows(std::string_view name,
             std::int64_t first,
             std::int64_t count,
             const float* values,
             Weights* weights);
// The memory that holds all numbers as they are kept, Weights::Bytes() of it: parts whose sizes and
// order follow from configuration and storage.
std::vector<std::span<char>> Parts(Weights* weights);
// Reads a tensor back, decoded.
std::vector<float> GetTensor(std::string_view name, const Weights& weights);

}  // namespace dashf::llama
