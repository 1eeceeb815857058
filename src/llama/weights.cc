#include "llama/weights.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace dashf::llama {
namespace {

// A tensor's numbers: rows of a stored matrix, or a plain vector.
struct Home {
  StoredMatrix* matrix = nullptr;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  float* vector = nullptr;
  std::int64_t size = 0;
};

Home HomeOf(std::string_view name, Weights* weights) {
  const ModelConfig& config = weights->config;
  if (name == "model.embed_tokens.weight") {
    return {.matrix = &weights->embedding, .rows = config.vocab_size};
  }
  if (name == "lm_head.weight") {
    return {.matrix = &weights->untied_head, .rows = config.vocab_size};
  }
  if (name == "model.norm.weight") {
    return {.vector = weights->final_norm.data(), .size = config.hidden_size};
  }
  constexpr std::string_view kPrefix = "model.layers.";
  DASHF_CHECK(name.starts_with(kPrefix));
  std::size_t index = 0;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), index);
  LayerWeights& layer = weights->layers.at(index);
  for (int n = 0; n < kNorms; ++n) {
    const std::string_view module = NormName(config, static_cast<Norm>(n));
    if (module.empty() || name.find(module) == name.npos) continue;
    std::vector<float>& norm = layer.norms[static_cast<std::size_t>(n)];
    return {.vector = norm.data(), .size = std::ssize(norm)};
  }
  for (int p = 0; p < kProjections; ++p) {
    if (name.find(kProjectionNames[static_cast<std::size_t>(p)]) == name.npos) continue;
    const ProjectionPlace place = PlaceOf(config, static_cast<Projection>(p));
    if (name.ends_with(".bias")) {
      return {.vector = layer.biases[place.group].data() + place.first_row, .size = place.rows};
    }
    return {
        .matrix = &layer.matrices[place.group], .first_row = place.first_row, .rows = place.rows};
  }
  DASHF_CHECK(false);
}

// A group's matrix.
struct GroupShape {
  std::int64_t rows, columns;
  bool biased;
};
GroupShape ShapeOf(const ModelConfig& config, int group) {
  const auto last =
      static_cast<Projection>(kFirstProjection[static_cast<std::size_t>(group) + 1] - 1);
  const ProjectionPlace place = PlaceOf(config, last);
  return {place.first_row + place.rows, WeightShape(config, last)[1], HasBias(config, last)};
}

std::size_t NormSize(const ModelConfig& config, Norm norm) {
  return NormName(config, norm).empty() ? 0 : static_cast<std::size_t>(NormWidth(config, norm));
}

void SetArithmetic(Arithmetic arithmetic, Weights* weights) {
  weights->embedding.SetArithmetic(arithmetic);
  if (!weights->config.tied_embeddings) weights->untied_head.SetArithmetic(arithmetic);
  for (LayerWeights& layer : weights->layers) {
    for (StoredMatrix& matrix : layer.matrices) matrix.SetArithmetic(arithmetic);
  }
}

}  // namespace

ProjectionPlace PlaceOf(const ModelConfig& config, Projection projection) {
  ProjectionPlace place;
  for (int group = 0; group < kGroups; ++group) {
    if (projection >= kFirstProjection[static_cast<std::size_t>(group)]) {
      place.group = static_cast<Group>(group);
    }
  }
  for (int p = kFirstProjection[place.group]; p < projection; ++p) {
    place.first_row += WeightShape(config, static_cast<Projection>(p))[0];
  }
  place.rows = WeightShape(config, projection)[0];
  return place;
}

std::size_t Weights::Bytes() const {
  std::size_t bytes = embedding.Bytes() + untied_head.Bytes() + final_norm.size() * sizeof(float);
  for (const LayerWeights& layer : layers) {
    for (const auto& norm : layer.norms) bytes += norm.size() * sizeof(float);
    for (const StoredMatrix& matrix : layer.matrices) bytes += matrix.Bytes();
    for (const auto& bias : layer.biases) bytes += bias.size() * sizeof(float);
  }
  return bytes;
}

RmsNorm Weights::NormOf(std::size_t layer, Norm norm) const {
  const std::vector<float>& weight = layers[layer].norms[norm];
  return {weight.data(), config.rms_norm_eps, static_cast<float>(config.norm_offset)};
}

RmsNorm Weights::FinalNorm() const {
  return {final_norm.data(), config.rms_norm_eps, static_cast<float>(config.norm_offset)};
}

template <class T>
void Embed(const Weights& weights, int token, Matrix<T> row) {
  weights.embedding.Decode(token, row);
  const T scale = static_cast<T>(weights.config.embedding_scale);
  if (scale == T{1}) return;
  for (std::int64_t j = 0; j < row.columns; ++j) row.data[j] *= scale;
}
template void Embed<float>(const Weights&, int, Matrix<float>);
template void Embed<double>(const Weights&, int, Matrix<double>);

Storage StorageOf(Format format) {
  return {format, format == Format::kNf4 ? Format::kInt8 : format};
}

Weights MakeWeights(const ModelConfig& config, const Storage& storage) {
  const std::int64_t d = config.hidden_size;
  const auto width = static_cast<std::size_t>(d);
  Weights weights;
  weights.config = config;
  weights.embedding = StoredMatrix(storage.tables, config.vocab_size, d);
  weights.final_norm.resize(width);
  if (!config.tied_embeddings) {
    weights.untied_head = StoredMatrix(storage.tables, config.vocab_size, d);
  }
  weights.layers.resize(static_cast<std::size_t>(config.layers));
  for (LayerWeights& layer : weights.layers) {
    for (int n = 0; n < kNorms; ++n) {
      layer.norms[static_cast<std::size_t>(n)].resize(NormSize(config, static_cast<Norm>(n)));
    }
    for (int group = 0; group < kGroups; ++group) {
      const auto [rows, columns, biased] = ShapeOf(config, group);
      const auto at = static_cast<std::size_t>(group);
      layer.matrices[at] = StoredMatrix(storage.projections, rows, columns);
      if (biased) layer.biases[at].resize(static_cast<std::size_t>(rows));
    }
  }
  SetArithmetic(storage.arithmetic, &weights);
  return weights;
}

std::size_t WeightBytes(const ModelConfig& config, const Storage& storage) {
  const std::size_t tables = config.tied_embeddings ? 1 : 2;
  std::size_t bytes =
      tables * StoredMatrix::BytesOf(storage.tables, config.vocab_size, config.hidden_size);
  std::size_t layer = 0;
  std::int64_t floats = 0;  // Norms and biases.
  for (int group = 0; group < kGroups; ++group) {
    const auto [rows, columns, biased] = ShapeOf(config, group);
    layer += StoredMatrix::BytesOf(storage.projections, rows, columns);
    floats += biased ? rows : 0;
  }
  for (int n = 0; n < kNorms; ++n) {
    floats += static_cast<std::int64_t>(NormSize(config, static_cast<Norm>(n)));
  }
  floats = floats * config.layers + config.hidden_size;
  bytes += layer * static_cast<std::size_t>(config.layers);
  return bytes + static_cast<std::size_t>(floats) * sizeof(float);
}

Weights Restore(const Weights& weights, const Storage& storage) {
  Weights restored = MakeWeights(weights.config, storage);
  ForEachTensor(weights.config, [&](const std::string& name, const auto&) {
    SetTensor(name, GetTensor(name, weights).data(), &restored);
  });
  return restored;
}

void SetTensor(std::string_view name, const float* values, Weights* weights) {
  const Home home = HomeOf(name, weights);
  if (home.matrix == nullptr) {
    std::copy_n(values, home.size, home.vector);
    return;
  }
  home.matrix->Fill(home.first_row, {values, home.rows, home.matrix->columns()});
}

void SetRows(std::string_view name,
             std::int64_t first,
             std::int64_t count,
             const float* values,
             Weights* weights) {
  const Home home = HomeOf(name, weights);
  DASHF_CHECK(home.matrix != nullptr && first + count <= home.rows);
  home.matrix->Fill(home.first_row + first, {values, count, home.matrix->columns()});
}

std::vector<std::span<char>> Parts(Weights* weights) {
  std::vector<std::span<char>> parts;
  const auto append = [&parts](std::vector<float>& values) {
    parts.emplace_back(reinterpret_cast<char*>(values.data()), values.size() * sizeof(float));
  };
  weights->embedding.AppendParts(&parts);
  append(weights->final_norm);
  weights->untied_head.AppendParts(&parts);
  for (LayerWeights& layer : weights->layers) {
    for (std::vector<float>& norm : layer.norms) append(norm);
    for (StoredMatrix& matrix : layer.matrices) matrix.AppendParts(&parts);
    for (std::vector<float>& bias : layer.biases) append(bias);
  }
  return parts;
}

std::vector<float> GetTensor(std::string_view name, const Weights& weights) {
  const Home home = HomeOf(name, const_cast<Weights*>(&weights));  // Only read from here.
  if (home.matrix == nullptr) return {home.vector, home.vector + home.size};
  std::vector<float> values(static_cast<std::size_t>(home.rows * home.matrix->columns()));
  home.matrix->Decode(home.first_row,
                      Matrix<float>(values.data(), home.rows, home.matrix->columns()));
  return values;
}

}  // namespace dashf::llama
