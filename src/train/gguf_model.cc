#include "train/gguf_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gguf/tensor_names.h"
#include "train/model_config.h"

namespace dashf::train {
namespace {

// A tensor of the engine's and where the file has it.
struct FoundTensor {
  std::string name, place;
  gguf::Tensor stored;
  bool interleaved = false;
  float offset = 0.0F;  // That the file added.
};

gguf::Architecture ArchitectureOf(const gguf::File& file) {
  // config.json was made from this key, so it is there and known.
  return *gguf::FindArchitecture(std::get<std::string>(file.metadata().at("general.architecture")));
}

// Checked before anything is allocated: each tensor that the configuration asks for, and no other.
Expected<std::vector<FoundTensor>> FindTensors(const gguf::File& file, const ModelConfig& config) {
  const gguf::Architecture architecture = ArchitectureOf(file);
  gguf::TensorMap tensors = file.tensors();
  std::vector<FoundTensor> found;
  Expected<void> outcome;
  llama::ForEachTensor(config, [&](const std::string& name, const auto& shape) {
    if (!outcome) return;
    const std::string stored = gguf::TensorName(name, architecture);
    const auto at = tensors.find(stored);
    if (at == tensors.end()) {
      outcome =
          Fail(ErrorKind::kBadInput, file.name(), fmt::format("has no {} ({})", stored, name));
      return;
    }
    const std::string place = file.name() + ": " + stored;
    if (at->second.shape != shape) {
      outcome = Fail(ErrorKind::kBadInput,
                     place,
                     fmt::format("must have shape [{}], got [{}]",
                                 fmt::join(shape, ", "),
                                 fmt::join(at->second.shape, ", ")));
      return;
    }
    const bool norm = name.ends_with("norm.weight");
    found.push_back({name,
                     place,
                     at->second,
                     architecture.interleaved && gguf::IsRotated(name),
                     norm && architecture.norms_plus_one ? 1.0F : 0.0F});
    tensors.erase(at);
  });
  if (!outcome) return tl::unexpected(outcome.error());
  tensors.erase("rope_freqs.weight");  // Read with the configuration.
  if (tensors.empty()) return found;
  return Fail(ErrorKind::kBadInput,
              file.name(),
              fmt::format("{} is no tensor of the model that its metadata describe",
                          tensors.begin()->first));
}

// Rows first..first + count - 1 of the file, decoded.
Expected<std::vector<float>> DecodeRows(const FoundTensor& tensor,
                                        std::int64_t first,
                                        std::int64_t count,
                                        const gguf::File& file) {
  const auto& [type, shape, bytes] = tensor.stored;
  const auto row_bytes = bytes.size() / static_cast<std::size_t>(shape.front());
  const std::string_view part = bytes.substr(static_cast<std::size_t>(first) * row_bytes,
                                             static_cast<std::size_t>(count) * row_bytes);
  const std::int64_t columns = shape.size() == 1 ? 1 : shape.back();
  std::vector<float> values(static_cast<std::size_t>(count * columns));
  gguf::Decode(type, part, values);
  file.Release(part);
  for (float& value : values) {
    value -= tensor.offset;
    if (std::isfinite(value)) continue;
    return Fail(ErrorKind::kBadInput, tensor.place, "has a value that is not finite");
  }
  return values;
}

// A matrix a few rows at a time, so that reading a model needs little more memory than the model.
Expected<void> ReadTensor(const FoundTensor& tensor,
                          std::int64_t head_dim,
                          const gguf::File& file,
                          llama::Weights* weights) {
  const std::int64_t rows = tensor.stored.shape.front();
  if (tensor.interleaved) {
    const auto stored = DecodeRows(tensor, 0, rows, file);
    if (!stored) return tl::unexpected(stored.error());
    std::vector<float> values(stored->size());
    const std::int64_t columns = std::ssize(values) / rows;
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy_n(stored->begin() + i * columns,
                  columns,
                  values.begin() + gguf::RotateHalfRow(i, head_dim) * columns);
    }
    llama::SetTensor(tensor.name, values.data(), weights);
    return {};
  }
  if (tensor.stored.shape.size() == 1) {
    const auto values = DecodeRows(tensor, 0, rows, file);
    if (!values) return tl::unexpected(values.error());
    llama::SetTensor(tensor.name, values->data(), weights);
    return {};
  }
  constexpr std::int64_t kElements = std::int64_t{1} << 20;  // At a time.
  const std::int64_t step = std::max<std::int64_t>(1, kElements / tensor.stored.shape.back());
  for (std::int64_t first = 0; first < rows; first += step) {
    const std::int64_t count = std::min(step, rows - first);
    const auto values = DecodeRows(tensor, first, count, file);
    if (!values) return tl::unexpected(values.error());
    llama::SetRows(tensor.name, first, count, values->data(), weights);
  }
  return {};
}

}  // namespace

Expected<Model> ReadGgufModel(const gguf::ModelFolder& folder, const llama::Storage& storage) {
  const gguf::File& file = *folder.file();
  const Expected<ModelConfig> config = ReadModelConfig(folder);
  if (!config) return tl::unexpected(config.error());
  const auto tensors = FindTensors(file, *config);
  if (!tensors) return tl::unexpected(tensors.error());
  llama::Weights weights = llama::MakeWeights(*config, storage);
  for (const FoundTensor& tensor : *tensors) {
    if (auto read = ReadTensor(tensor, config->head_dim, file, &weights); !read) {
      return tl::unexpected(read.error());
    }
  }
  return Model(std::move(weights));
}

Expected<bool> GgufStoredInBFloat16(const gguf::ModelFolder& folder, const ModelConfig& config) {
  const auto tensors = FindTensors(*folder.file(), config);
  if (!tensors) return tl::unexpected(tensors.error());
  return std::ranges::all_of(*tensors, [](const FoundTensor& tensor) {
    return tensor.stored.shape.size() == 1 || tensor.stored.type == gguf::TensorType::kBF16;
  });
}

}  // namespace dashf::train
