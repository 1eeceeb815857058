#include "train/model_config.h"

#include <fmt/format.h>

#include "base/json.h"

namespace dashf::train {
namespace {

constexpr std::int64_t kWidthMax = 1 << 20;

// Hugging Face writes null for what is absent.
bool Present(const JsonReader& reader, const char* key) {
  return reader.HasValue(key);
}

int Width(JsonReader* reader, const char* key) {
  return static_cast<int>(reader->Integer(key, 1, kWidthMax));
}

bool Flag(JsonReader* reader, const char* key) {
  return Present(*reader, key) && reader->Boolean(key);
}

void RefuseUnlessAbsentOr(JsonReader* reader, const char* key, std::string_view supported) {
  if (!Present(*reader, key)) return;
  if (reader->String(key) != supported) {
    reader->Reject(key, fmt::format("only \"{}\" is supported", supported));
  }
}

void ReadLlama3Rope(JsonReader rope, ModelConfig* config) {
  const char* key = Present(rope, "rope_type") ? "rope_type" : "type";
  const std::string type = Present(rope, key) ? rope.String(key) : "default";
  if (type == "default") return;
  if (type != "llama3") {
    rope.Reject(key, "only \"default\" and \"llama3\" are supported");
    return;
  }
  Llama3Rope llama3;
  llama3.factor = rope.Number("factor", {.low = 1.0});
  llama3.low_freq_factor = rope.Number("low_freq_factor", kPositive);
  llama3.high_freq_factor = rope.Number("high_freq_factor", kPositive);
  llama3.original_max_position_embeddings =
      rope.Number("original_max_position_embeddings", kPositive);
  if (!(llama3.high_freq_factor > llama3.low_freq_factor)) {
    rope.Reject("high_freq_factor", "must be above low_freq_factor");
  }
  config->rope_llama3 = llama3;
}

void ReadRope(JsonReader* root, ModelConfig* config) {
  if (Present(*root, "rope_theta")) config->rope_theta = root->Number("rope_theta", kPositive);
  if (Present(*root, "rope_scaling")) ReadLlama3Rope(root->Object("rope_scaling"), config);
  if (Present(*root, "rope_parameters")) {
    JsonReader parameters = root->Object("rope_parameters");
    if (Present(parameters, "rope_theta")) {
      config->rope_theta = parameters.Number("rope_theta", kPositive);
    }
    ReadLlama3Rope(parameters, config);
  }
  if (Present(*root, "partial_rotary_factor") && root->Number("partial_rotary_factor") != 1.0) {
    root->Reject("partial_rotary_factor", "only 1 is supported");
  }
}

void ReadTokens(JsonReader* root, ModelConfig* config) {
  if (Present(*root, "bos_token_id")) {
    config->bos_token = static_cast<int>(root->Integer("bos_token_id", 0, kWidthMax));
  }
  if (!Present(*root, "eos_token_id")) return;
  config->eos_tokens.clear();
  if (root->raw()["eos_token_id"].is_array()) {
    root->ForEach("eos_token_id", [&](const JsonReader& token) {
      config->eos_tokens.push_back(static_cast<int>(token.AsInteger(0, kWidthMax)));
    });
  } else {
    config->eos_tokens.push_back(static_cast<int>(root->Integer("eos_token_id", 0, kWidthMax)));
  }
}

Expected<ModelConfig> ReadConfig(const Expected<JsonDocument>& document) {
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  ModelConfig config;
  const std::string type = Present(root, "model_type") ? root.String("model_type") : "llama";
  if (type != "llama" && type != "qwen2") {
    root.Reject("model_type", "only \"llama\" and \"qwen2\" are supported");
  }
  RefuseUnlessAbsentOr(&root, "hidden_act", "silu");
  if (Present(root, "quantization_config")) {
    root.Reject("quantization_config",
                "quantized weights are not supported (only F32, F16 and BF16)");
  }
  config.layers = static_cast<int>(root.Integer("num_hidden_layers", 1, 1000));
  config.hidden_size = Width(&root, "hidden_size");
  config.heads = Width(&root, "num_attention_heads");
  config.kv_heads =
      Present(root, "num_key_value_heads") ? Width(&root, "num_key_value_heads") : config.heads;
  config.intermediate_size = Width(&root, "intermediate_size");
  config.vocab_size = Width(&root, "vocab_size");
  if (document->error()) return tl::unexpected(*document->error());
  config.head_dim =
      Present(root, "head_dim") ? Width(&root, "head_dim") : config.hidden_size / config.heads;
  if (config.head_dim < 2 || config.head_dim % 2 != 0) {
    root.Reject("hidden_size", fmt::format("heads must be of even width, not {}", config.head_dim));
  }
  if (config.heads % config.kv_heads != 0) {
    root.Reject("num_key_value_heads", "must divide num_attention_heads");
  }
  if (Present(root, "max_position_embeddings")) {
    config.max_positions =
        static_cast<int>(root.Integer("max_position_embeddings", 1, std::int64_t{1} << 30));
  }
  config.rms_norm_eps =
      Present(root, "rms_norm_eps") ? root.Number("rms_norm_eps", kNonNegative) : 1e-6;
  config.tied_embeddings = Flag(&root, "tie_word_embeddings");
  if (type == "qwen2") {
    config.attention_bias = AttentionBias::kQkv;
    if (Flag(&root, "use_sliding_window")) root.Reject("use_sliding_window", "is not supported");
  } else {
    config.attention_bias =
        Flag(&root, "attention_bias") ? AttentionBias::kAll : AttentionBias::kNone;
    config.mlp_bias = Flag(&root, "mlp_bias");
  }
  ReadRope(&root, &config);
  ReadTokens(&root, &config);
  if (document->error()) return tl::unexpected(*document->error());
  return config;
}

}  // namespace

Expected<ModelConfig> ReadModelConfig(const std::filesystem::path& file) {
  return ReadConfig(JsonDocument::ReadFile(file.string()));
}

Expected<ModelConfig> ParseModelConfig(const std::string& name, std::string_view bytes) {
  return ReadConfig(JsonDocument::Parse(name, bytes));
}

std::string WriteModelConfig(const ModelConfig& config, Precision precision) {
  const bool qwen2 = config.attention_bias == AttentionBias::kQkv;
  nlohmann::ordered_json json = {
      {"architectures", {qwen2 ? "Qwen2ForCausalLM" : "LlamaForCausalLM"}},
      {"model_type", qwen2 ? "qwen2" : "llama"},
      {"hidden_act", "silu"},
      {"hidden_size", config.hidden_size},
      {"intermediate_size", config.intermediate_size},
      {"num_hidden_layers", config.layers},
      {"num_attention_heads", config.heads},
      {"num_key_value_heads", config.kv_heads},
      {"head_dim", config.head_dim},
      {"vocab_size", config.vocab_size},
      {"max_position_embeddings", config.max_positions},
      {"rms_norm_eps", config.rms_norm_eps},
      {"rope_theta", config.rope_theta},
      {"rope_scaling", nullptr},
      {"tie_word_embeddings", config.tied_embeddings},
      {"bos_token_id", config.bos_token},
      {"eos_token_id", config.eos_tokens},
      {"torch_dtype", precision == Precision::kFloat32 ? "float32" : "bfloat16"}};
  if (!qwen2) {
    json["attention_bias"] = config.attention_bias == AttentionBias::kAll;
    json["mlp_bias"] = config.mlp_bias;
  }
  if (config.eos_tokens.size() == 1) json["eos_token_id"] = config.eos_tokens.front();
  if (config.rope_llama3) {
    const Llama3Rope& rope = *config.rope_llama3;
    json["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", rope.factor},
        {"low_freq_factor", rope.low_freq_factor},
        {"high_freq_factor", rope.high_freq_factor},
        {"original_max_position_embeddings", rope.original_max_position_embeddings}};
  }
  return json.dump(2) + "\n";
}

}  // namespace dashf::train
