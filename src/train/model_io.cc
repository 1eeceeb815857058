#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "tensorfile/floats.h"
#include "tensorfile/safetensors.h"
#include "train/gguf_model.h"
#include "train/kept_base.h"
#include "train/model.h"
#include "train/model_config.h"
#include "train/model_files.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using tensorfile::DType;
using tensorfile::SafetensorsFile;
using tensorfile::TensorView;

// A model's weight files, and each tensor with the file it lies in.
struct WeightFiles {
  std::vector<SafetensorsFile> open;
  struct Place {
    const TensorView* view;
    std::string path;
    const SafetensorsFile* file;
  };
  std::map<std::string, Place> tensors;
};

Expected<std::set<std::string>> ShardNames(const fs::path& index_file) {
  Expected<JsonDocument> document = JsonDocument::ReadFile(index_file.string());
  if (!document) return tl::unexpected(document.error());
  std::set<std::string> names;
  JsonReader root = document->Root();
  root.ForEachMember("weight_map", [&](const std::string& tensor, const JsonReader& file) {
    const std::string name = file.AsString();
    // A name from a file must not lead out of the folder.
    if (fs::path(name).filename() != name || name == "..") {
      file.Reject(fmt::format("the file of {} must be a plain file name", tensor));
    }
    names.insert(name);
  });
  if (document->error()) return tl::unexpected(*document->error());
  return names;
}

Expected<std::set<std::string>> WeightFileNames(const fs::path& folder) {
  const fs::path index = folder / "model.safetensors.index.json";
  std::error_code ignored;  // What cannot be looked at is for Open to report.
  if (!fs::exists(folder / "model.safetensors", ignored) && fs::exists(index, ignored)) {
    return ShardNames(index);
  }
  return std::set<std::string>{"model.safetensors"};
}

Expected<WeightFiles> OpenWeights(const fs::path& folder) {
  const Expected<std::set<std::string>> names = WeightFileNames(folder);
  if (!names) return tl::unexpected(names.error());
  WeightFiles files;
  files.open.reserve(names->size());  // The map points into the elements.
  for (const std::string& name : *names) {
    const std::string path = (folder / name).string();
    Expected<SafetensorsFile> file = SafetensorsFile::Open(path);
    if (!file) return tl::unexpected(file.error());
    files.open.push_back(std::move(*file));
    for (const auto& [tensor, view] : files.open.back().tensors()) {
      if (!files.tensors.try_emplace(tensor, WeightFiles::Place{&view, path, &files.open.back()})
               .second) {
        return Fail(ErrorKind::kBadInput, path, fmt::format("{} is also in another shard", tensor));
      }
    }
  }
  return files;
}

// Meta's original name for a Hugging Face name.
std::string OriginalName(std::string name) {
  constexpr std::pair<std::string_view, std::string_view> kRenamed[] = {
      {"model.embed_tokens", "tok_embeddings"},
      {"lm_head", "output"},
      {"self_attn.q_proj", "attention.wq"},
      {"self_attn.k_proj", "attention.wk"},
      {"self_attn.v_proj", "attention.wv"},
      {"self_attn.o_proj", "attention.wo"},
      {"mlp.gate_proj", "feed_forward.w1"},
      {"mlp.down_proj", "feed_forward.w2"},
      {"mlp.up_proj", "feed_forward.w3"},
      {"post_attention_layernorm", "ffn_norm"},
      {"input_layernorm", "attention_norm"},
      {"model.", ""},
  };
  for (const auto& [ours, original] : kRenamed) {
    if (const auto at = name.find(ours); at != std::string::npos) {
      name.replace(at, ours.size(), original);
    }
  }
  return name;
}

// Interleaved pairs (2i, 2i + 1) of each head's rows become pairs (i, i + head_dim / 2).
std::vector<float> RotateHalfLayout(const std::vector<float>& interleaved,
                                    const std::vector<std::int64_t>& shape,
                                    std::int64_t head_dim) {
  std::vector<float> halves(interleaved.size());
  const std::int64_t row = std::ssize(interleaved) / shape.front();
  for (std::int64_t i = 0; i < shape.front(); ++i) {
    const std::int64_t head = i / head_dim, at = i % head_dim;
    const std::int64_t to = head * head_dim + at / 2 + at % 2 * (head_dim / 2);
    std::copy_n(interleaved.begin() + i * row, row, halves.begin() + to * row);
  }
  return halves;
}

// Each tensor that the configuration asks for, by its Hugging Face name: where it is, and in which
// layout. Checked before anything is allocated: a hostile config.json must not make room for
// numbers that the files do not have.
struct FoundTensor {
  std::string name, place;
  const TensorView* view = nullptr;
  const SafetensorsFile* file = nullptr;  // Whose view it is.
  std::vector<std::int64_t> shape;
  bool interleaved = false;
};

bool IsOriginal(const WeightFiles& files) {
  return files.tensors.contains("tok_embeddings.weight");
}

// `count` rows from the first-th on.
TensorView RowsOf(const TensorView& tensor, std::int64_t first, std::int64_t count) {
  TensorView rows = tensor;
  const std::size_t row_bytes = tensor.bytes.size() / static_cast<std::size_t>(tensor.shape[0]);
  rows.shape[0] = count;
  rows.bytes = tensor.bytes.substr(static_cast<std::size_t>(first) * row_bytes,
                                   static_cast<std::size_t>(count) * row_bytes);
  return rows;
}

// How many rows of a matrix to read at a time.
std::int64_t RowsAtOnce(const std::vector<std::int64_t>& shape) {
  constexpr std::int64_t kElements = std::int64_t{1} << 16;
  return std::max<std::int64_t>(1, kElements / std::max<std::int64_t>(1, shape.back()));
}

// The same numbers, in whatever format.
Expected<bool> HoldTheSame(const WeightFiles::Place& a, const WeightFiles::Place& b) {
  const std::vector<std::int64_t>& shape = a.view->shape;
  if (shape != b.view->shape || shape.size() != 2) return false;
  const std::int64_t step = RowsAtOnce(shape);
  for (std::int64_t first = 0; first < shape[0]; first += step) {
    const std::int64_t count = std::min(step, shape[0] - first);
    const TensorView of_a = RowsOf(*a.view, first, count), of_b = RowsOf(*b.view, first, count);
    if (of_a.dtype == of_b.dtype) {
      if (of_a.bytes != of_b.bytes) return false;
    } else {
      const auto values_a = tensorfile::ReadFloats(a.path, of_a, of_a.shape);
      if (!values_a) return tl::unexpected(values_a.error());
      const auto values_b = tensorfile::ReadFloats(b.path, of_b, of_b.shape);
      if (!values_b) return tl::unexpected(values_b.error());
      if (*values_a != *values_b) return false;
    }
    a.file->Release(of_a.bytes);
    b.file->Release(of_b.bytes);
  }
  return true;
}

// Some exporters write a tied head too, which then goes; one that is not the embedding is a head of
// its own, whatever config.json says.
Expected<void> SettleHead(WeightFiles* files, ModelConfig* config) {
  if (!config->tied_embeddings) return {};
  const bool original = IsOriginal(*files);
  const auto head = files->tensors.find(original ? "output.weight" : "lm_head.weight");
  const auto embedding =
      files->tensors.find(original ? "tok_embeddings.weight" : "model.embed_tokens.weight");
  if (head == files->tensors.end() || embedding == files->tensors.end()) return {};
  const Expected<bool> same = HoldTheSame(head->second, embedding->second);
  if (!same) return tl::unexpected(same.error());
  config->tied_embeddings = *same;
  if (*same) files->tensors.erase(head);
  return {};
}

Expected<std::vector<FoundTensor>> FindTensors(const fs::path& folder,
                                               const ModelConfig& config,
                                               WeightFiles* files) {
  const bool original = IsOriginal(*files);
  std::vector<FoundTensor> found;
  Expected<void> outcome;
  llama::ForEachTensor(config, [&](const std::string& name, const auto& shape) {
    if (!outcome) return;
    const std::string stored = original ? OriginalName(name) : name;
    const auto at = files->tensors.find(stored);
    if (at == files->tensors.end()) {
      outcome = Fail(ErrorKind::kBadInput, folder.string(), fmt::format("has no {}", stored));
      return;
    }
    const auto& [view, path, file] = at->second;
    const std::string place = path + ": " + stored;
    if (view->shape != shape) {
      outcome = Fail(ErrorKind::kBadInput,
                     place,
                     fmt::format("must have shape [{}], got [{}]",
                                 fmt::join(shape, ", "),
                                 fmt::join(view->shape, ", ")));
      return;
    }
    const bool rotated =
        name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
    found.push_back({name, place, view, file, shape, original && rotated});
    files->tensors.erase(at);
  });
  if (!outcome) return tl::unexpected(outcome.error());
  // Some exporters write the frequencies that follow from config.json.
  std::erase_if(files->tensors, [](const auto& item) {
    return item.first.ends_with("rotary_emb.inv_freq") || item.first == "rope.freqs";
  });
  if (files->tensors.empty()) return found;
  const auto& [name, place] = *files->tensors.begin();
  return Fail(ErrorKind::kBadInput,
              place.path,
              fmt::format("{} is no tensor of the model that config.json describes", name));
}

// A matrix a few rows at a time, and the file's pages given back behind them, so that reading a
// model needs little more memory than the model.
Expected<void> ReadTensor(const FoundTensor& tensor,
                          std::int64_t head_dim,
                          llama::Weights* weights) {
  const bool whole = tensor.interleaved || tensor.shape.size() == 1;
  const std::int64_t rows = tensor.shape.front();
  const std::int64_t step = whole ? rows : RowsAtOnce(tensor.shape);
  for (std::int64_t first = 0; first < rows; first += step) {
    const TensorView part = RowsOf(*tensor.view, first, std::min(step, rows - first));
    auto values = tensorfile::ReadFloats(tensor.place, part, part.shape);
    if (!values) return tl::unexpected(values.error());
    tensor.file->Release(part.bytes);
    if (tensor.interleaved) *values = RotateHalfLayout(*values, tensor.shape, head_dim);
    if (whole) {
      llama::SetTensor(tensor.name, values->data(), weights);
    } else {
      llama::SetRows(tensor.name, first, part.shape[0], values->data(), weights);
    }
  }
  return {};
}

Expected<Model> ReadModel(const fs::path& folder, const llama::Storage& storage) {
  const auto opened = gguf::ModelFolder::Open(folder.string());
  if (!opened) return tl::unexpected(opened.error());
  if (opened->file()) return ReadGgufModel(*opened, storage);
  Expected<ModelConfig> config = ReadModelConfig(*opened);
  if (!config) return tl::unexpected(config.error());
  Expected<WeightFiles> files = OpenWeights(folder);
  if (!files) return tl::unexpected(files.error());
  if (auto settled = SettleHead(&*files, &*config); !settled) {
    return tl::unexpected(settled.error());
  }
  const Expected<std::vector<FoundTensor>> tensors = FindTensors(folder, *config, &*files);
  if (!tensors) return tl::unexpected(tensors.error());
  llama::Weights weights = llama::MakeWeights(*config, storage);
  for (const FoundTensor& tensor : *tensors) {
    if (auto read = ReadTensor(tensor, config->head_dim, &weights); !read) {
      return tl::unexpected(read.error());
    }
  }
  return Model(std::move(weights));
}

Expected<Model> ReadThrough(const fs::path& folder,
                            const llama::Storage& storage,
                            BaseCache* cache) {
  const auto opened = gguf::ModelFolder::Open(folder.string());
  if (!opened) return tl::unexpected(opened.error());
  const Expected<ModelConfig> config = ReadModelConfig(*opened);
  if (!config) return tl::unexpected(config.error());
  std::vector<fs::path> files = {folder};
  if (!opened->file()) {
    const auto names = WeightFileNames(folder);
    if (!names) return tl::unexpected(names.error());
    files = {folder / "config.json"};
    for (const std::string& name : *names) files.push_back(folder / name);
  }
  const KeptBase kept(cache->folder, folder, std::move(files), storage);
  if (auto weights = kept.Read(*config, &cache->notes)) return Model(std::move(*weights));
  Expected<Model> model = ReadModel(folder, storage);
  if (model) kept.Keep(model->weights(), &cache->notes);
  return model;
}

// A tensor's bytes as the file has them.
std::string Encode(const std::vector<float>& values, Precision precision) {
  if (precision == Precision::kFloat32) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
  }
  std::vector<std::uint16_t> halves(values.size());
  std::transform(values.begin(), values.end(), halves.begin(), tensorfile::ToBFloat16);
  return {reinterpret_cast<const char*>(halves.data()), halves.size() * sizeof(std::uint16_t)};
}

}  // namespace

Expected<Model> LoadModel(const fs::path& folder, const llama::Storage& storage) {
  return WithinMemory(folder.string(), [&] { return ReadModel(folder, storage); });
}

Expected<Model> LoadModel(const fs::path& folder, const llama::Storage& storage, BaseCache* cache) {
  if (cache->folder.empty() || !IsEncoded(storage)) return LoadModel(folder, storage);
  return WithinMemory(folder.string(), [&] { return ReadThrough(folder, storage, cache); });
}

Expected<ModelConfig> LoadModelConfig(const fs::path& folder) {
  const auto opened = gguf::ModelFolder::Open(folder.string());
  if (!opened) return tl::unexpected(opened.error());
  Expected<ModelConfig> config = ReadModelConfig(*opened);
  const bool weights =
      opened->Has("model.safetensors") || opened->Has("model.safetensors.index.json");
  if (!config || !config->tied_embeddings || !weights) return config;
  Expected<WeightFiles> files = OpenWeights(folder);
  if (!files) return tl::unexpected(files.error());
  if (auto settled = SettleHead(&*files, &*config); !settled) {
    return tl::unexpected(settled.error());
  }
  return config;
}

Expected<bool> StoredInBFloat16(const fs::path& folder, ModelConfig config) {
  const auto opened = gguf::ModelFolder::Open(folder.string());
  if (!opened) return tl::unexpected(opened.error());
  if (opened->file()) return GgufStoredInBFloat16(*opened, config);
  Expected<WeightFiles> files = OpenWeights(folder);
  if (!files) return tl::unexpected(files.error());
  if (auto settled = SettleHead(&*files, &config); !settled) {
    return tl::unexpected(settled.error());
  }
  const Expected<std::vector<FoundTensor>> tensors = FindTensors(folder, config, &*files);
  if (!tensors) return tl::unexpected(tensors.error());
  return std::ranges::all_of(*tensors, [](const FoundTensor& tensor) {
    return tensor.shape.size() == 1 || tensor.view->dtype == DType::kBF16;
  });
}

Expected<void> SaveModel(const Model& model, Precision precision, const fs::path& folder) {
  return SaveModelFolder(model, precision, folder, {});
}

Expected<void> SaveModelFolder(const Model& model,
                               Precision precision,
                               const fs::path& folder,
                               std::map<std::string, std::string> others) {
  std::map<std::string, std::string> kept;  // The views' memory.
  tensorfile::TensorMap tensors;
  llama::ForEachTensor(model.config(), [&](const std::string& name, const auto& shape) {
    std::string& bytes = kept[name];
    bytes = Encode(llama::GetTensor(name, model.weights()), precision);
    tensors[name] = {precision == Precision::kFloat32 ? DType::kF32 : DType::kBF16, shape, bytes};
  });
  const std::string bytes = tensorfile::WriteSafetensors(tensors, {{"format", "pt"}});
  others.try_emplace("config.json", WriteModelConfig(model.config(), precision));
  std::vector<FileBytes> files = {{folder / "model.safetensors", bytes}};
  for (const auto& [name, text] : others) {
    if (name != "config.json") files.push_back({folder / name, text});
  }
  files.push_back({folder / "config.json", others["config.json"]});  // Makes it a model folder.
  return WriteFilesAtomically(files);
}

}  // namespace dashf::train
