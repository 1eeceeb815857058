#include "train/gguf_adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "base/json.h"
#include "gguf/file.h"
#include "gguf/tensor_names.h"
#include "train/model_config.h"
#include "train/projection.h"

namespace dashf::train {
namespace {

constexpr const char* kAlphaKey = "adapter.lora.alpha";
constexpr const char* kTypeKey = "general.type";
constexpr const char* kAdapterTypeKey = "adapter.type";
constexpr const char* kArchitectureKey = "general.architecture";

Expected<gguf::Architecture> ArchitectureOf(const ModelConfig& model) {
  const auto document =
      JsonDocument::Parse("config.json", WriteModelConfig(model, Precision::kFloat32));
  const std::string type = document ? document->Root().String("model_type") : std::string();
  const auto found = gguf::FindArchitecture(gguf::ArchitectureOf(type));
  if (found) return *found;
  return Fail(ErrorKind::kBadInput,
              "--model",
              fmt::format("GGUF files are not written for \"{}\" models", type));
}

std::string NameOf(int layer,
                   const std::string& target,
                   const char* factor,
                   const gguf::Architecture& architecture) {
  return gguf::TensorName(ModuleName(layer, target) + ".weight", architecture) + factor;
}

// Rows of (out, rank) in the other of the two orders.
std::vector<float> Reordered(const std::vector<float>& rows, int head_dim, int rank, bool to_file) {
  std::vector<float> out(rows.size());
  for (std::int64_t i = 0; i < std::ssize(rows) / rank; ++i) {
    const std::int64_t half = gguf::RotateHalfRow(i, head_dim);
    const std::int64_t from = to_file ? half : i, to = to_file ? i : half;
    std::copy_n(rows.begin() + from * rank, rank, out.begin() + to * rank);
  }
  return out;
}

bool Permuted(const gguf::Architecture& architecture, const std::string& target) {
  return architecture.interleaved && gguf::IsRotated(target);
}

gguf::Tensor ViewOf(const std::vector<float>& values, std::vector<std::int64_t> shape) {
  return {gguf::TensorType::kF32,
          std::move(shape),
          {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}};
}

// Reads one adapter; keeps the first broken rule.
class AdapterReader {
 public:
  AdapterReader(const gguf::File& file,
                const ModelConfig& model,
                const gguf::Architecture& architecture)
      : file_(file), model_(model), architecture_(architecture), tensors_(file.tensors()) {}
  Expected<Adapter> Read();

 private:
  void Refuse(const std::string& place, std::string rule) {
    if (!error_) error_ = Error{ErrorKind::kBadInput, file_.name() + ": " + place, std::move(rule)};
  }
  void Demand(const char* key, std::string_view value);
  double Alpha();
  std::vector<float> Take(const std::string& name, int rows, int columns);
  LoraPair TakePair(int layer, const std::string& target, int rank);
  int RankOf(int layer, const std::string& target) const;
  LoraConfig ReadRanks();

  const gguf::File& file_;
  const ModelConfig& model_;
  const gguf::Architecture architecture_;
  gguf::TensorMap tensors_;  // That are not read yet.
  std::optional<Error> error_;
};

void AdapterReader::Demand(const char* key, std::string_view value) {
  const auto found = file_.metadata().find(key);
  const auto* text =
      found == file_.metadata().end() ? nullptr : std::get_if<std::string>(&found->second);
  if (text != nullptr && *text == value) return;
  Refuse(key,
         text == nullptr ? fmt::format("must be \"{}\"", value)
                         : fmt::format("must be \"{}\", got \"{}\"", value, *text));
}

double AdapterReader::Alpha() {
  const auto found = file_.metadata().find(kAlphaKey);
  const auto* alpha =
      found == file_.metadata().end() ? nullptr : std::get_if<double>(&found->second);
  if (alpha != nullptr && *alpha > 0.0) {  // As short as the float can be said.
    return std::stod(fmt::format("{}", static_cast<float>(*alpha)));
  }
  Refuse(kAlphaKey, "must be a number > 0");
  return 1.0;
}

std::vector<float> AdapterReader::Take(const std::string& name, int rows, int columns) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    Refuse(name, "there is no such tensor");
    return {};
  }
  const gguf::Tensor tensor = found->second;
  if (tensor.shape != std::vector<std::int64_t>{rows, columns}) {
    Refuse(name, fmt::format("must have shape [{}, {}]", rows, columns));
    return {};
  }
  std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  gguf::Decode(tensor.type, tensor.bytes, values);
  tensors_.erase(found);
  return values;
}

LoraPair AdapterReader::TakePair(int layer, const std::string& target, int rank) {
  const ProjectionShape shape = *ShapeOf(model_, target);
  LoraPair pair;
  pair.a = Take(NameOf(layer, target, ".lora_a", architecture_), rank, shape.in);
  if (error_) return pair;
  pair.b = Take(NameOf(layer, target, ".lora_b", architecture_), shape.out, rank);
  if (error_) return pair;
  if (Permuted(architecture_, target)) pair.b = Reordered(pair.b, model_.head_dim, rank, false);
  return pair;
}

// 0: the file has none for this projection.
int AdapterReader::RankOf(int layer, const std::string& target) const {
  const auto found = file_.tensors().find(NameOf(layer, target, ".lora_a", architecture_));
  if (found == file_.tensors().end()) return 0;
  return static_cast<int>(std::min<std::int64_t>(found->second.shape.front(), 1 << 20));
}

// The most frequent rank is everybody's, the others are exceptions.
LoraConfig AdapterReader::ReadRanks() {
  LoraConfig lora;
  lora.alpha = Alpha();
  lora.targets.clear();
  std::map<int, int> modules_of_rank;
  for (const std::string_view projection : kProjectionNames) {
    const std::string target(projection);
    bool covered = false;
    for (int layer = 0; layer < model_.layers; ++layer) {
      const int rank = RankOf(layer, target);
      if (rank > 0) ++modules_of_rank[rank];
      covered = covered || rank > 0;
    }
    if (covered) lora.targets.push_back(target);
  }
  if (modules_of_rank.empty()) {
    Refuse("tensors", "none is a LoRA factor of a projection of the model's");
    return lora;
  }
  const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  lora.rank = std::ranges::max_element(modules_of_rank, less)->first;
  for (const std::string& target : lora.targets) {
    for (int layer = 0; layer < model_.layers; ++layer) {
      const int rank = RankOf(layer, target);
      if (rank > 0 && rank != lora.rank) lora.rank_pattern[ModuleName(layer, target)] = rank;
    }
  }
  return lora;
}

Expected<Adapter> AdapterReader::Read() {
  Demand(kTypeKey, "adapter");
  Demand(kAdapterTypeKey, "lora");
  Demand(kArchitectureKey, architecture_.name);
  Adapter adapter;
  adapter.config.lora = ReadRanks();
  const LoraConfig& lora = adapter.config.lora;
  if (!error_) {
    if (auto sound = CheckLora(lora); !sound) Refuse(sound.error().where, sound.error().message);
  }
  for (int layer = 0; layer < model_.layers && !error_; ++layer) {
    std::vector<LoraPair>& pairs = adapter.layers.emplace_back();
    for (const std::string& target : lora.targets) {
      if (error_) break;
      const int rank = lora.Rank(layer, target);
      if (RankOf(layer, target) > 0) {
        pairs.push_back(TakePair(layer, target, rank));
        continue;
      }
      const ProjectionShape shape = *ShapeOf(model_, target);  // Zeros, which add nothing.
      const auto width = static_cast<std::size_t>(rank);
      pairs.push_back({std::vector<float>(width * static_cast<std::size_t>(shape.in)),
                       std::vector<float>(width * static_cast<std::size_t>(shape.out))});
    }
  }
  if (!error_ && !tensors_.empty()) {
    Refuse(tensors_.begin()->first, "is no LoRA factor of a projection of the model's");
  }
  if (error_) return tl::unexpected(*error_);
  if (auto sound = CheckAdapter(adapter, model_); !sound) {
    return Fail(ErrorKind::kBadInput, file_.name(), sound.error().Text());
  }
  return adapter;
}

Expected<Adapter> ReadFile(const Expected<gguf::File>& file, const ModelConfig& model) {
  if (!file) return tl::unexpected(file.error());
  const auto architecture = ArchitectureOf(model);
  if (!architecture) return tl::unexpected(architecture.error());
  return AdapterReader(*file, model, *architecture).Read();
}

}  // namespace

Expected<std::string> EncodeGgufAdapter(const Adapter& adapter, const ModelConfig& model) {
  if (adapter.config.kind != AdapterKind::kLora) {
    return Fail(ErrorKind::kBadInput, "adapter", "only LoRA can be written as GGUF");
  }
  if (auto sound = CheckAdapter(adapter, model); !sound) return tl::unexpected(sound.error());
  const auto architecture = ArchitectureOf(model);
  if (!architecture) return tl::unexpected(architecture.error());
  const LoraConfig& lora = adapter.config.lora;
  std::map<std::string, std::vector<float>> kept;  // The views' memory.
  gguf::TensorMap tensors;
  for (int layer = 0; layer < model.layers; ++layer) {
    for (std::size_t j = 0; j < lora.targets.size(); ++j) {
      const std::string& target = lora.targets[j];
      const LoraPair& pair = adapter.layers[static_cast<std::size_t>(layer)][j];
      const int rank = lora.Rank(layer, target);
      const ProjectionShape shape = *ShapeOf(model, target);
      const std::string a = NameOf(layer, target, ".lora_a", *architecture);
      tensors[a] = ViewOf(pair.a, {rank, shape.in});
      const std::string name = NameOf(layer, target, ".lora_b", *architecture);
      std::vector<float>& b = kept[name];
      b = Permuted(*architecture, target) ? Reordered(pair.b, model.head_dim, rank, true) : pair.b;
      const double usual = lora.alpha / rank, scale = lora.Scale(layer, target);
      if (scale != usual) {
        for (float& value : b) value = static_cast<float>(value * (scale / usual));
      }
      tensors[name] = ViewOf(b, {shape.out, rank});
    }
  }
  return gguf::Write({{kTypeKey, "adapter"},
                      {kAdapterTypeKey, "lora"},
                      {kArchitectureKey, std::string(architecture->name)},
                      {kAlphaKey, double{static_cast<float>(lora.alpha)}}},
                     tensors);
}

Expected<Adapter> ReadGgufAdapter(const std::string& path, const ModelConfig& model) {
  return ReadFile(gguf::File::Open(path), model);
}

Expected<Adapter> ParseGgufAdapter(const std::string& name,
                                   std::string bytes,
                                   const ModelConfig& model) {
  return ReadFile(gguf::File::Parse(name, std::move(bytes)), model);
}

}  // namespace dashf::train
