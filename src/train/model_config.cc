#include "train/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/json.h"
#include "train/model_family.h"

namespace dashf::train {
namespace {

using llama::Family;

constexpr std::int64_t kWidthMax = 1 << 20;
// Beyond these numbers are slips of the pen: below 1 wavelengths would shrink from pair to pair,
// and an epsilon above 1 outweighs what is normed.
constexpr NumberRule kTheta{.low = 1.0, .high = 1e30};
constexpr NumberRule kStretching{.low = 1.0, .high = 1e6};
constexpr NumberRule kFrequencies{.low = 0.0, .high = 1e6, .above = true};
constexpr NumberRule kPositions{.low = 1.0, .high = 1e9};
constexpr NumberRule kUnitInterval{.low = 0.0, .high = 1.0};

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

int WidthOr(JsonReader* reader, const char* key, int otherwise) {
  return Present(*reader, key) ? Width(reader, key) : otherwise;
}

void ReadActivation(JsonReader* root, ModelConfig* config) {
  const bool gemma = config->family == Family::kGemma3;
  if (gemma) config->activation = llama::Activation::kGeluTanh;
  const char* key = gemma ? "hidden_activation" : "hidden_act";
  if (!Present(*root, key)) return;
  const std::string name = root->String(key);
  if (gemma ? name == "gelu_pytorch_tanh" : name == "silu" || name == "swish") return;
  root->Reject(key, fmt::format("only \"{}\" is supported", gemma ? "gelu_pytorch_tanh" : "silu"));
}

void RefusePartialRotation(JsonReader* reader) {
  if (Present(*reader, "partial_rotary_factor") && reader->Number("partial_rotary_factor") != 1.0) {
    reader->Reject("partial_rotary_factor", "only 1 is supported");
  }
}

void ReadLlama3Rope(JsonReader* rope, ModelConfig* config) {
  Llama3Rope llama3;
  llama3.factor = rope->Number("factor", kStretching);
  llama3.low_freq_factor = rope->Number("low_freq_factor", kFrequencies);
  llama3.high_freq_factor = rope->Number("high_freq_factor", kFrequencies);
  llama3.original_max_position_embeddings =
      rope->Number("original_max_position_embeddings", kPositions);
  if (!(llama3.high_freq_factor > llama3.low_freq_factor)) {
    rope->Reject("high_freq_factor", "must be above low_freq_factor");
  }
  config->rope_llama3 = llama3;
}

// How wavelengths are stretched.
void ReadStretching(JsonReader* rope, ModelConfig* config) {
  const char* key = Present(*rope, "rope_type") ? "rope_type" : "type";
  const std::string type = Present(*rope, key) ? rope->String(key) : "default";
  RefusePartialRotation(rope);
  if (type == "linear") {
    config->rope_linear_factor = rope->Number("factor", kStretching);
  } else if (type == "llama3") {
    ReadLlama3Rope(rope, config);
  } else if (type != "default") {
    rope->Reject(key, "only \"default\", \"linear\" and \"llama3\" are supported");
  }
}

void ReadTheta(JsonReader* reader, const char* key, double* theta) {
  if (Present(*reader, key)) *theta = reader->Number(key, kTheta);
}

// transformers 5 has an object of each kind of layer where the kinds have thetas of their own.
void ReadRopeOfKinds(JsonReader parameters, ModelConfig* config) {
  if (Present(parameters, "full_attention")) {
    JsonReader full = parameters.Object("full_attention");
    ReadTheta(&full, "rope_theta", &config->rope_theta);
    ReadStretching(&full, config);
  }
  if (!Present(parameters, "sliding_attention")) return;
  JsonReader sliding = parameters.Object("sliding_attention");
  ReadTheta(&sliding, "rope_theta", &*config->rope_theta_windowed);
  ModelConfig stretched;
  ReadStretching(&sliding, &stretched);
  if (stretched.rope_llama3 || stretched.rope_linear_factor != 1.0) {
    sliding.Reject("rope_type", "only \"default\" is supported in windowed layers");
  }
}

void ReadRope(JsonReader* root, ModelConfig* config) {
  const bool kinds = config->family == Family::kGemma3;
  if (kinds) config->rope_theta_windowed = 10000.0;
  ReadTheta(root, "rope_theta", &config->rope_theta);
  if (kinds) ReadTheta(root, "rope_local_base_freq", &*config->rope_theta_windowed);
  if (Present(*root, "rope_scaling")) {
    JsonReader scaling = root->Object("rope_scaling");
    ReadStretching(&scaling, config);
  }
  if (Present(*root, "rope_parameters")) {
    JsonReader parameters = root->Object("rope_parameters");
    if (kinds) {
      ReadRopeOfKinds(parameters, config);
    } else {
      ReadTheta(&parameters, "rope_theta", &config->rope_theta);
      ReadStretching(&parameters, config);
    }
  }
  RefusePartialRotation(root);
  if (config->windowed.empty()) config->rope_theta_windowed.reset();
}

// SmolLM3's layers without rotation: 0 in "no_rope_layers", or every so many-th.
void ReadUnrotated(JsonReader* root, ModelConfig* config) {
  if (config->family != Family::kSmolLm3) return;
  const auto layers = static_cast<std::size_t>(config->layers);
  std::vector<bool> unrotated;
  if (Present(*root, "no_rope_layers")) {
    root->ForEach("no_rope_layers", [&](const JsonReader& layer) {
      unrotated.push_back(layer.AsInteger(0, 1) == 0);
    });
    if (unrotated.size() < layers) {
      root->Reject("no_rope_layers", fmt::format("must have {} numbers", layers));
    }
  } else {
    const int every = WidthOr(root, "no_rope_layer_interval", 4);
    for (int i = 1; i <= config->layers; ++i) unrotated.push_back(i % every == 0);
  }
  unrotated.resize(layers);
  if (std::ranges::find(unrotated, true) != unrotated.end()) config->unrotated = unrotated;
}

// Which layers have a window where "layer_types" does not say.
std::vector<bool> UsualWindows(JsonReader* root, const ModelConfig& config) {
  std::vector<bool> windowed;
  const int pattern = WidthOr(root, "sliding_window_pattern", 6);
  const std::int64_t full =
      Present(*root, "max_window_layers") ? root->Integer("max_window_layers", 0, kWidthMax) : 28;
  for (int i = 0; i < config.layers; ++i) {
    switch (config.family) {
      case Family::kLlama:
      case Family::kMistral:
        windowed.push_back(true);
        break;
      case Family::kQwen2:
      case Family::kQwen3:
        windowed.push_back(i >= full);
        break;
      case Family::kSmolLm3:
        windowed.push_back(!config.Rotates(i));
        break;
      case Family::kGemma3:
        windowed.push_back((i + 1) % pattern != 0);
        break;
    }
  }
  return windowed;
}

std::vector<bool> ReadLayerTypes(JsonReader* root, const ModelConfig& config) {
  std::vector<bool> windowed;
  root->ForEach("layer_types", [&](const JsonReader& type) {
    const std::string name = type.AsString();
    windowed.push_back(name == "sliding_attention");
    if (windowed.back() || name == "full_attention") return;
    type.Reject("only \"full_attention\" and \"sliding_attention\" are supported");
  });
  if (std::cmp_not_equal(windowed.size(), config.layers)) {
    root->Reject("layer_types", fmt::format("must have {} entries", config.layers));
  }
  return windowed;
}

// Read where the family has windows at all, and says that they are used.
int ReadWindow(JsonReader* root, const FamilyTraits& traits) {
  const Family family = traits.family;
  const bool always = family == Family::kMistral || family == Family::kGemma3;
  if (family == Family::kLlama || (!always && !Flag(root, "use_sliding_window"))) return 0;
  if (!root->Has("sliding_window")) return traits.sliding_window;
  if (!Present(*root, "sliding_window")) return 0;
  return static_cast<int>(root->Integer("sliding_window", 1, std::int64_t{1} << 30));
}

void ReadWindows(JsonReader* root, const FamilyTraits& traits, ModelConfig* config) {
  const int window = ReadWindow(root, traits);
  const bool types = Present(*root, "layer_types");
  std::vector<bool> windowed(static_cast<std::size_t>(config->layers), false);
  const auto any = [&](bool which) { return std::ranges::find(windowed, which) != windowed.end(); };
  if (types) {
    windowed = ReadLayerTypes(root, *config);
  } else if (window > 0 || config->family == Family::kGemma3) {
    windowed = UsualWindows(root, *config);
  }
  if (any(true) && window == 0) {
    root->Reject(types ? "layer_types" : "sliding_window", "windowed layers need a window");
  }
  if (config->family == Family::kMistral && window > 0 && any(false)) {
    root->Reject("layer_types", "all layers of a Mistral with a window have it");
  }
  if (!any(true)) return;
  config->sliding_window = window;
  config->windowed = std::move(windowed);
}

void RefuseUnlessAbsent(JsonReader* root, const char* key) {
  if (Present(*root, key)) root->Reject(key, "is not supported");
}

void ReadGemma3(JsonReader* root, ModelConfig* config) {
  config->head_norms = config->output_norms = true;
  config->norm_offset = 1.0;
  config->embedding_scale = std::sqrt(static_cast<double>(config->hidden_size));
  config->query_pre_attn_scalar = Present(*root, "query_pre_attn_scalar")
                                      ? root->Number("query_pre_attn_scalar", kPositions)
                                      : 256.0;
  RefuseUnlessAbsent(root, "attn_logit_softcapping");
  RefuseUnlessAbsent(root, "final_logit_softcapping");
  if (Flag(root, "use_bidirectional_attention")) {
    root->Reject("use_bidirectional_attention", "is not supported");
  }
}

void ReadBiases(JsonReader* root, ModelConfig* config) {
  if (config->family == Family::kQwen2) {
    config->attention_bias = AttentionBias::kQkv;
  } else if (config->family != Family::kMistral && Flag(root, "attention_bias")) {
    config->attention_bias = AttentionBias::kAll;
  }
  if (config->family == Family::kLlama || config->family == Family::kSmolLm3) {
    config->mlp_bias = Flag(root, "mlp_bias");
  }
}

// Negative ids and null stand for none.
void ReadTokens(JsonReader* root, const FamilyTraits& traits, ModelConfig* config) {
  const auto among = [](const JsonReader& token) {
    return static_cast<int>(token.AsInteger(-kWidthMax, kWidthMax));
  };
  config->bos_token = traits.bos_token;
  if (Present(*root, "bos_token_id")) {
    config->bos_token = static_cast<int>(root->Integer("bos_token_id", -kWidthMax, kWidthMax));
  }
  config->eos_tokens.clear();
  if (!root->Has("eos_token_id")) {
    config->eos_tokens.push_back(traits.eos_token);
  } else if (root->raw()["eos_token_id"].is_array()) {
    root->ForEach("eos_token_id",
                  [&](const JsonReader& token) { config->eos_tokens.push_back(among(token)); });
  } else if (Present(*root, "eos_token_id")) {
    const std::int64_t token = root->Integer("eos_token_id", -kWidthMax, kWidthMax);
    config->eos_tokens.push_back(static_cast<int>(token));
  }
  std::erase_if(config->eos_tokens, [](int token) { return token < 0; });
}

void ReadHeadWidth(JsonReader* root, const FamilyTraits& traits, ModelConfig* config) {
  const int width = config->hidden_size, heads = config->heads;
  const bool said = Present(*root, "head_dim");
  if (!said && traits.head_dim == 0 && width % heads != 0) {
    root->Reject("num_attention_heads", fmt::format("must divide hidden_size ({})", width));
  }
  config->head_dim =
      WidthOr(root, "head_dim", traits.head_dim > 0 ? traits.head_dim : width / heads);
  if (said && config->head_dim % 2 != 0) root->Reject("head_dim", "must be even");
  if (!said && config->head_dim % 2 != 0) {
    root->Reject("num_attention_heads",
                 fmt::format("must divide hidden_size ({}) into heads of even width", width));
  }
  if (heads % config->kv_heads != 0) {
    root->Reject("num_key_value_heads", fmt::format("must divide num_attention_heads ({})", heads));
  }
}

// What nothing here depends on must still be what transformers lets it be.
void CheckUnused(JsonReader* root, const ModelConfig& config) {
  Flag(root, "use_cache");
  root->IntegerIfAny("pretraining_tp", 1, kWidthMax);
  root->NumberIfAny("initializer_range", kUnitInterval);
  root->NumberIfAny("attention_dropout", kUnitInterval);
  // Padding, unlike the other tokens, must have a row of the embeddings.
  root->IntegerIfAny("pad_token_id", -kWidthMax, config.vocab_size - 1);
}

void ReadShape(JsonReader* root, const FamilyTraits& traits, ModelConfig* config) {
  config->layers = static_cast<int>(root->Integer("num_hidden_layers", 1, 1000));
  config->hidden_size = Width(root, "hidden_size");
  config->heads = Width(root, "num_attention_heads");
  config->kv_heads = WidthOr(root, "num_key_value_heads", config->heads);
  config->intermediate_size = Width(root, "intermediate_size");
  config->vocab_size = Width(root, "vocab_size");
  if (root->failed()) return;
  ReadHeadWidth(root, traits, config);
  config->max_positions = traits.max_positions;
  if (Present(*root, "max_position_embeddings")) {
    config->max_positions =
        static_cast<int>(root->Integer("max_position_embeddings", 1, std::int64_t{1} << 30));
  }
  config->rms_norm_eps =
      Present(*root, "rms_norm_eps") ? root->Number("rms_norm_eps", kUnitInterval) : 1e-6;
  config->tied_embeddings = Present(*root, "tie_word_embeddings")
                                ? root->Boolean("tie_word_embeddings")
                                : traits.tied_embeddings;
}

Expected<ModelConfig> ReadConfig(const Expected<JsonDocument>& document) {
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  ModelConfig config;
  const std::string type = root.Has("model_type") ? root.String("model_type") : "llama";
  const FamilyTraits* const traits = FindFamily(type);
  if (traits == nullptr) root.Reject("model_type", WhyNotRead(type));
  if (Present(root, "quantization_config")) {
    root.Reject("quantization_config",
                "quantized weights are not supported (only F32, F16 and BF16)");
  }
  if (document->error()) return tl::unexpected(*document->error());
  config.family = traits->family;
  config.rope_theta = traits->rope_theta;
  ReadShape(&root, *traits, &config);
  if (document->error()) return tl::unexpected(*document->error());
  ReadActivation(&root, &config);
  ReadBiases(&root, &config);
  config.head_norms = config.family == Family::kQwen3;
  if (config.family == Family::kGemma3) ReadGemma3(&root, &config);
  ReadUnrotated(&root, &config);
  ReadWindows(&root, *traits, &config);
  ReadRope(&root, &config);
  ReadTokens(&root, *traits, &config);
  CheckUnused(&root, config);
  if (document->error()) return tl::unexpected(*document->error());
  return config;
}

}  // namespace

Expected<ModelConfig> ReadModelConfig(const gguf::ModelFolder& folder) {
  const auto text = folder.Read("config.json");
  if (!text) return tl::unexpected(text.error());
  return ParseModelConfig(folder.Place("config.json"), *text);
}

Expected<ModelConfig> ParseModelConfig(const std::string& name, std::string_view bytes) {
  return ReadConfig(JsonDocument::Parse(name, bytes));
}

}  // namespace dashf::train
