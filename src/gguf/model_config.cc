#include "gguf/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "gguf/metadata.h"
#include "gguf/tensor_names.h"

namespace dashf::gguf {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kWidthMax = 1 << 20;
constexpr std::int64_t kPositionsMax = 1 << 30;

// What may stand after "ARCHITECTURE."; anything else may change what the model computes.
constexpr std::array<std::string_view, 19> kKeys = {"block_count",
                                                    "context_length",
                                                    "embedding_length",
                                                    "feed_forward_length",
                                                    "vocab_size",
                                                    "attention.head_count",
                                                    "attention.head_count_kv",
                                                    "attention.key_length",
                                                    "attention.value_length",
                                                    "attention.layer_norm_rms_epsilon",
                                                    "attention.sliding_window",
                                                    "rope.dimension_count",
                                                    "rope.freq_base",
                                                    "rope.scaling.type",
                                                    "rope.scaling.factor",
                                                    "rope.scaling.original_context_length",
                                                    "rope.scaling.finetuned",
                                                    "tensor_data_layout",
                                                    "expert_count"};

// A number of the file's float32 as short as it can be said: 1e-05, not 9.99999974738e-06.
double Shortest(double value) {
  return std::stod(fmt::format("{}", static_cast<float>(value)));
}

// transformers' class of a model type.
const char* ClassOf(std::string_view type) {
  constexpr std::pair<std::string_view, const char*> kClasses[] = {
      {"llama", "LlamaForCausalLM"},
      {"mistral", "MistralForCausalLM"},
      {"smollm3", "SmolLM3ForCausalLM"},
      {"qwen2", "Qwen2ForCausalLM"},
      {"qwen3", "Qwen3ForCausalLM"},
      {"gemma3_text", "Gemma3ForCausalLM"}};
  const auto* const found =
      std::ranges::find(kClasses, type, &std::pair<std::string_view, const char*>::first);
  DASHF_CHECK(found != std::end(kClasses));
  return found->second;
}

class ConfigReader {
 public:
  explicit ConfigReader(const File& file) : file_(file), metadata_(file) {}
  Expected<std::string> Read();

 private:
  std::string Key(std::string_view name) const { return fmt::format("{}.{}", prefix_, name); }
  std::int64_t Width(std::string_view name) { return metadata_.Integer(Key(name), 1, kWidthMax); }
  void ReadShape();
  void ReadRope();
  void ReadRopeFactors(const Tensor& tensor);
  void ReadFamily();
  void ReadTokens();

  const File& file_;
  MetadataReader metadata_;
  std::string prefix_;
  std::int64_t head_dim_ = 0;
  Json json_ = Json::object();
};

void ConfigReader::ReadShape() {
  json_["num_hidden_layers"] = metadata_.Integer(Key("block_count"), 1, 1000);
  json_["hidden_size"] = Width("embedding_length");
  json_["intermediate_size"] = Width("feed_forward_length");
  const std::int64_t heads = Width("attention.head_count");
  const bool grouped = metadata_.Has(Key("attention.head_count_kv"));
  json_["num_attention_heads"] = heads;
  json_["num_key_value_heads"] = grouped ? Width("attention.head_count_kv") : heads;
  head_dim_ = json_["hidden_size"].get<std::int64_t>() / std::max<std::int64_t>(heads, 1);
  if (metadata_.Has(Key("attention.key_length"))) head_dim_ = Width("attention.key_length");
  for (const char* same : {"attention.value_length", "rope.dimension_count"}) {
    if (metadata_.Has(Key(same)) && Width(same) != head_dim_) {
      metadata_.Refuse(Key(same), fmt::format("only the heads' width, {}, is read", head_dim_));
    }
  }
  json_["head_dim"] = head_dim_;
  if (metadata_.Has(Key("expert_count")) &&
      metadata_.Integer(Key("expert_count"), 0, kWidthMax) > 0) {
    metadata_.Refuse(Key("expert_count"), "mixtures of experts are not read");
  }
  json_["max_position_embeddings"] = metadata_.Integer(Key("context_length"), 1, kPositionsMax);
  json_["rms_norm_eps"] = Shortest(metadata_.Number(Key("attention.layer_norm_rms_epsilon")));
  json_["tie_word_embeddings"] = !file_.tensors().contains("output.weight");
  const auto embedding = file_.tensors().find("token_embd.weight");
  if (embedding == file_.tensors().end()) {
    metadata_.Refuse("token_embd.weight", "there is no such tensor");
  } else {
    json_["vocab_size"] = embedding->second.shape.front();
  }
}

// Llama 3 divides the frequency of wavelength w by a factor between 1 (w short) and F (w long). The
// file has the divisors alone; of Llama 3's rule F is the last of them, and the other parameters
// are those that every model of the family has (config.json of Llama 3.1, 3.2 and 3.3).
void ConfigReader::ReadRopeFactors(const Tensor& tensor) {
  const std::string name = "rope_freqs.weight";
  if (tensor.shape != std::vector<std::int64_t>{head_dim_ / 2} || tensor.type != TensorType::kF32 ||
      head_dim_ < 2) {
    return metadata_.Refuse(name, fmt::format("must be {} numbers of F32", head_dim_ / 2));
  }
  std::vector<float> divisors(static_cast<std::size_t>(head_dim_ / 2));
  Decode(tensor.type, tensor.bytes, divisors);
  constexpr double kLow = 1.0, kHigh = 4.0, kOriginal = 8192.0;
  const double base = json_.value("rope_theta", 10000.0);
  const double factor = divisors.back();
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(head_dim_);
    const double wavelength = 2.0 * std::numbers::pi * std::pow(base, exponent);
    const double smooth = std::clamp((kOriginal / wavelength - kLow) / (kHigh - kLow), 0.0, 1.0);
    const double expected = 1.0 / ((1.0 - smooth) / factor + smooth);
    if (!(std::abs(divisors[i] - expected) <= 1e-4 * expected) || !(factor >= 1.0)) {
      return metadata_.Refuse(
          name,
          fmt::format("only Llama 3's stretching of the wavelengths is read (low 1, high 4, "
                      "original length 8192): number {} is {}, would be {}",
                      i,
                      divisors[i],
                      expected));
    }
  }
  if (factor == 1.0) return;
  json_["rope_scaling"] = {{"rope_type", "llama3"},
                           {"factor", Shortest(factor)},
                           {"low_freq_factor", kLow},
                           {"high_freq_factor", kHigh},
                           {"original_max_position_embeddings", 8192}};
}

void ConfigReader::ReadRope() {
  if (metadata_.Has(Key("rope.freq_base"))) {
    json_["rope_theta"] = Shortest(metadata_.Number(Key("rope.freq_base")));
  }
  const auto factors = file_.tensors().find("rope_freqs.weight");
  if (factors != file_.tensors().end()) ReadRopeFactors(factors->second);
  if (!metadata_.Has(Key("rope.scaling.type"))) return;
  const std::string type = metadata_.Text(Key("rope.scaling.type"));
  if (type == "none") return;
  if (type != "linear") {
    return metadata_.Refuse(Key("rope.scaling.type"),
                            fmt::format("only \"none\" and \"linear\" are read, got \"{}\"", type));
  }
  const double factor = Shortest(metadata_.Number(Key("rope.scaling.factor")));
  if (factor != 1.0) json_["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
}

// What an architecture's name means beyond Llama; train/model_config.h knows what can be computed.
void ConfigReader::ReadFamily() {
  const auto has = [this](const char* tensor) { return file_.tensors().contains(tensor); };
  std::string type = prefix_;
  const std::string window = Key("attention.sliding_window");
  if (prefix_ == "llama" && metadata_.Has(window)) type = "mistral";
  if (prefix_ == "gemma3") {
    type = "gemma3_text";
    json_["hidden_activation"] = "gelu_pytorch_tanh";
    json_["rope_local_base_freq"] = 10000.0;  // As llama.cpp has it, whatever the file says.
    json_["query_pre_attn_scalar"] = head_dim_;
  } else {
    json_["hidden_act"] = "silu";
  }
  json_["model_type"] = type;
  json_["architectures"] = {ClassOf(type)};
  if (metadata_.Has(window)) {
    json_["sliding_window"] = metadata_.Integer(window, 1, kPositionsMax);
    if (prefix_.starts_with("qwen")) json_["use_sliding_window"] = true;
  } else if (type == "gemma3_text") {
    metadata_.Refuse(window, "is missing");
  }
  if (prefix_ == "llama" || prefix_ == "smollm3") {
    const bool biased = has("blk.0.attn_output.bias") || has("blk.0.attn_q.bias");
    if (biased) json_["attention_bias"] = true;
    if (has("blk.0.ffn_up.bias")) json_["mlp_bias"] = true;
  }
}

void ConfigReader::ReadTokens() {
  const auto id = [this](const std::string& key) {
    return metadata_.Integer(key, 0, json_.value("vocab_size", std::int64_t{1}) - 1);
  };
  const std::string prefix = "tokenizer.ggml.";
  json_["bos_token_id"] = nullptr;
  if (metadata_.Has(prefix + "bos_token_id")) json_["bos_token_id"] = id(prefix + "bos_token_id");
  std::vector<std::int64_t> ends;  // Any of them ends an answer.
  for (const char* name : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    if (!metadata_.Has(prefix + name)) continue;
    const std::int64_t token = id(prefix + name);
    if (std::ranges::find(ends, token) == ends.end()) ends.push_back(token);
  }
  json_["eos_token_id"] = nullptr;
  if (ends.size() == 1) json_["eos_token_id"] = ends.front();
  if (ends.size() > 1) json_["eos_token_id"] = ends;
}

Expected<std::string> ConfigReader::Read() {
  if (metadata_.Has("general.type") && metadata_.Text("general.type") != "model") {
    metadata_.Refuse("general.type",
                     fmt::format("must be \"model\", got \"{}\"", metadata_.Text("general.type")));
  }
  prefix_ = metadata_.Text("general.architecture");
  if (!metadata_.error() && !FindArchitecture(prefix_)) {
    metadata_.Refuse("general.architecture",
                     fmt::format("\"{}\" is not read (only {})", prefix_, ArchitectureNames()));
  }
  for (const auto& [key, value] : file_.metadata()) {
    if (!key.starts_with(prefix_ + ".")) continue;
    const std::string_view name = std::string_view(key).substr(prefix_.size() + 1);
    if (std::ranges::find(kKeys, name) == kKeys.end()) {
      metadata_.Refuse(key, "is not known, and may change what the model computes");
    }
  }
  if (!metadata_.error()) ReadShape();
  if (!metadata_.error()) ReadRope();
  if (!metadata_.error()) ReadFamily();
  if (!metadata_.error()) ReadTokens();
  if (metadata_.error()) return tl::unexpected(*metadata_.error());
  return json_.dump(2) + "\n";
}

}  // namespace

Expected<std::string> ModelConfigJson(const File& file) {
  return ConfigReader(file).Read();
}

}  // namespace dashf::gguf
