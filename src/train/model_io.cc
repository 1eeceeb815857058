#include <ATen/Functions.h>
#include <fmt/format.h>

#include <set>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "tensorfile/safetensors.h"
#include "train/guarded.h"
#include "train/llama.h"
#include "train/model.h"
#include "train/model_config.h"
#include "train/read_tensor.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using tensorfile::DType;
using tensorfile::SafetensorsFile;
using tensorfile::TensorView;

// A model's weight files, and each tensor with the file it lies in.
struct WeightFiles {
  std::vector<SafetensorsFile> open;
  std::map<std::string, std::pair<const TensorView*, std::string>> tensors;
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

Expected<WeightFiles> OpenWeights(const fs::path& folder) {
  std::set<std::string> names = {"model.safetensors"};
  const fs::path index = folder / "model.safetensors.index.json";
  std::error_code ignored;  // What cannot be looked at is for Open to report.
  if (!fs::exists(folder / "model.safetensors", ignored) && fs::exists(index, ignored)) {
    Expected<std::set<std::string>> shards = ShardNames(index);
    if (!shards) return tl::unexpected(shards.error());
    names = std::move(*shards);
  }
  WeightFiles files;
  files.open.reserve(names.size());  // The map points into the elements.
  for (const std::string& name : names) {
    const std::string path = (folder / name).string();
    Expected<SafetensorsFile> file = SafetensorsFile::Open(path);
    if (!file) return tl::unexpected(file.error());
    files.open.push_back(std::move(*file));
    for (const auto& [tensor, view] : files.open.back().tensors()) {
      if (!files.tensors.try_emplace(tensor, &view, path).second) {
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
at::Tensor RotateHalfLayout(const at::Tensor& interleaved, std::int64_t head_dim) {
  std::vector<std::int64_t> split = {-1, head_dim / 2, 2};
  if (interleaved.dim() == 2) split.push_back(interleaved.size(1));
  return interleaved.view(split).transpose(1, 2).reshape(interleaved.sizes());
}

Expected<void> FillWeights(const fs::path& folder, WeightFiles* files, LlamaWeights* weights) {
  const bool original = files->tensors.contains("tok_embeddings.weight");
  const ModelConfig& config = weights->config;
  Expected<void> outcome;
  ForEachTensor(*weights, [&](const std::string& name, at::Tensor& tensor) {
    if (!outcome) return;
    const std::string stored = original ? OriginalName(name) : name;
    const auto found = files->tensors.find(stored);
    if (found == files->tensors.end()) {
      outcome = Fail(ErrorKind::kBadInput, folder.string(), fmt::format("has no {}", stored));
      return;
    }
    const auto& [view, file] = found->second;
    Expected<at::Tensor> read = ReadTensor(file + ": " + stored, *view, TensorShape(config, name));
    if (!read) {
      outcome = tl::unexpected(read.error());
      return;
    }
    const bool rotated =
        name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
    tensor = original && rotated ? RotateHalfLayout(*read, config.head_dim) : std::move(*read);
    files->tensors.erase(found);
  });
  if (!outcome) return outcome;
  // Some exporters write the tied head, and the frequencies that follow from config.json.
  if (config.tied_embeddings) files->tensors.erase(original ? "output.weight" : "lm_head.weight");
  std::erase_if(files->tensors, [](const auto& item) {
    return item.first.ends_with("rotary_emb.inv_freq") || item.first == "rope.freqs";
  });
  if (files->tensors.empty()) return {};
  const auto& [name, place] = *files->tensors.begin();
  return Fail(ErrorKind::kBadInput,
              place.second,
              fmt::format("{} is no tensor of the Llama model that config.json describes", name));
}

Expected<Model> ReadModel(const fs::path& folder) {
  Expected<ModelConfig> config = ReadModelConfig(folder / "config.json");
  if (!config) return tl::unexpected(config.error());
  Expected<WeightFiles> files = OpenWeights(folder);
  if (!files) return tl::unexpected(files.error());
  auto weights = std::make_shared<LlamaWeights>();
  weights->config = std::move(*config);
  // A hostile config.json must not make room for layers that the file does not have.
  const auto layers = static_cast<std::size_t>(weights->config.layers);
  if (files->tensors.size() < layers * 9) {
    return Fail(ErrorKind::kBadInput,
                folder.string(),
                fmt::format("{} tensors are too few for {} layers", files->tensors.size(), layers));
  }
  weights->layers.resize(layers);
  if (auto filled = FillWeights(folder, &*files, weights.get()); !filled) {
    return tl::unexpected(filled.error());
  }
  if (weights->config.tied_embeddings) weights->head = weights->embedding;
  return Model(std::move(weights));
}

}  // namespace

Expected<Model> LoadModel(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    return Fail(ErrorKind::kIo, folder.string(), "there is no such model folder");
  }
  return Guarded(folder.c_str(), [&] { return ReadModel(folder); });
}

Expected<void> SaveModel(const Model& model, Precision precision, const fs::path& folder) {
  const bool full = precision == Precision::kFloat32;
  std::vector<at::Tensor> kept;  // The views' memory.
  tensorfile::TensorMap tensors;
  ForEachTensor(model.weights(), [&](const std::string& name, const at::Tensor& tensor) {
    kept.push_back(tensor.detach().to(full ? at::kFloat : at::kBFloat16).contiguous());
    const auto sizes = tensor.sizes();
    tensors[name] = {full ? DType::kF32 : DType::kBF16,
                     {sizes.begin(), sizes.end()},
                     {static_cast<const char*>(kept.back().data_ptr()), kept.back().nbytes()}};
  });
  const std::string bytes = tensorfile::WriteSafetensors(tensors, {{"format", "pt"}});
  if (auto done = WriteFileAtomically(folder / "model.safetensors", bytes); !done) return done;
  return WriteFileAtomically(folder / "config.json", WriteModelConfig(model.config(), precision));
}

}  // namespace dashf::train
