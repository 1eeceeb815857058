// config.json as the families' own repositories spell it; what is not read is refused by what it
// would need.
#include "train/model_config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <numbers>

namespace dashf::train {
namespace {

using llama::Family;
using ::testing::HasSubstr;

// Four layers of two heads; `members` follow.
Expected<ModelConfig> Parsed(const std::string& members) {
  return ParseModelConfig("config.json",
                          R"({"num_hidden_layers": 4, "hidden_size": 8, "vocab_size": 9,
                              "num_attention_heads": 2, "intermediate_size": 4)" +
                              members + "}");
}

ModelConfig Read(const std::string& members) {
  const auto config = Parsed(members);
  EXPECT_TRUE(config) << config.error().Text();
  return config.value_or(ModelConfig{});
}

std::string ErrorOf(const std::string& members) {
  const auto config = Parsed(members);
  return config ? "accepted" : config.error().Text();
}

TEST(ModelConfig, SpellingsOfWhatIsPlainAreRead) {
  const ModelConfig plain = Read("");
  for (const char* members :
       {R"(, "hidden_act": "swish")",
        R"(, "rope_scaling": null, "head_dim": null, "quantization_config": null)",
        R"(, "rope_scaling": {"type": "linear", "factor": 1.0})",
        R"(, "rope_parameters": {"rope_type": "default", "factor": 1.0})",
        R"(, "partial_rotary_factor": 1.0, "dtype": "bfloat16")",
        R"(, "torch_dtype": "float16", "sliding_window": null)",
        R"(, "use_sliding_window": false, "num_key_value_heads": null)",
        R"(, "layer_types": ["full_attention", "full_attention",
                                                   "full_attention", "full_attention"])"}) {
    EXPECT_EQ(Read(members), plain) << members;
  }
  EXPECT_EQ(Read(R"(, "model_type": "qwen2", "use_sliding_window": false,
                     "sliding_window": 4096, "max_window_layers": 2)"),
            Read(R"(, "model_type": "qwen2")"));
}

TEST(ModelConfig, EndTokensMayBeNoneOneOrSeveral) {
  using Tokens = std::vector<int>;
  EXPECT_EQ(Read("").eos_tokens, Tokens{2});
  EXPECT_EQ(Read(R"(, "eos_token_id": -1)").eos_tokens, Tokens{});
  EXPECT_EQ(Read(R"(, "eos_token_id": null)").eos_tokens, Tokens{});
  EXPECT_EQ(Read(R"(, "eos_token_id": 7)").eos_tokens, Tokens{7});
  EXPECT_EQ(Read(R"(, "eos_token_id": [3, -1, 4])").eos_tokens, (Tokens{3, 4}));
  EXPECT_EQ(Read(R"(, "bos_token_id": -1)").bos_token, -1);
  // As transformers has it: no token at all, and tokens that never come.
  EXPECT_EQ(Read(R"(, "eos_token_id": [])").eos_tokens, Tokens{});
  EXPECT_EQ(Read(R"(, "eos_token_id": [2, 9], "bos_token_id": 9)").eos_tokens, (Tokens{2, 9}));
}

TEST(ModelConfig, OfQwen3HasHeadNormsAndAWindowWhereItIsUsed) {
  const ModelConfig config = Read(R"(, "model_type": "qwen3", "tie_word_embeddings": true,
                                      "use_sliding_window": false, "sliding_window": null)");
  EXPECT_TRUE(config.head_norms && config.tied_embeddings);
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.sliding_window, 0);
  const ModelConfig windowed = Read(R"(, "model_type": "qwen3", "use_sliding_window": true,
                                        "sliding_window": 16, "max_window_layers": 3)");
  EXPECT_EQ(windowed.windowed, (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ(windowed.WindowOf(3), 16);
  EXPECT_EQ(windowed.WindowOf(2), 0);
}

TEST(ModelConfig, OfMistralHasAWindowUnlessItIsNull) {
  EXPECT_EQ(Read(R"(, "model_type": "mistral", "sliding_window": null)").sliding_window, 0);
  const ModelConfig silent = Read(R"(, "model_type": "mistral")");
  EXPECT_EQ(silent.sliding_window, 4096);
  EXPECT_EQ(silent.windowed, std::vector<bool>(4, true));
}

TEST(ModelConfig, OfSmolLm3LeavesLayersWithoutRotation) {
  const ModelConfig usual = Read(R"(, "model_type": "smollm3")");
  EXPECT_EQ(usual.unrotated, (std::vector<bool>{false, false, false, true}));
  EXPECT_TRUE(usual.tied_embeddings);
  EXPECT_EQ(usual.rope_theta, 2e6);
  const ModelConfig listed = Read(R"(, "model_type": "smollm3", "no_rope_layers": [1, 0, 1, 1, 0],
                                      "use_sliding_window": false)");
  EXPECT_EQ(listed.unrotated, (std::vector<bool>{false, true, false, false}));
  EXPECT_TRUE(listed.windowed.empty());
}

// As of gemma-3-1b and as transformers 5 writes the same.
TEST(ModelConfig, OfGemma3ReadsOldAndNewSpellingsAlike) {
  const ModelConfig old = Read(R"(, "model_type": "gemma3_text", "sliding_window": 512,
      "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256,
      "rope_local_base_freq": 5000, "rope_theta": 500000, "sliding_window_pattern": 3,
      "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "attn_logit_softcapping": null)");
  const ModelConfig recent = Read(R"(, "model_type": "gemma3_text", "sliding_window": 512,
      "tie_word_embeddings": true, "head_dim": 256, "layer_types": ["sliding_attention",
      "sliding_attention", "full_attention", "sliding_attention"],
      "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0,
      "rope_theta": 500000}, "sliding_attention": {"rope_type": "default", "rope_theta": 5000}})");
  EXPECT_EQ(old, recent);
  EXPECT_EQ(old.windowed, (std::vector<bool>{true, true, false, true}));
  EXPECT_EQ(old.rope_theta_windowed, 5000.0);
  EXPECT_EQ(old.rope_linear_factor, 8.0);
  EXPECT_EQ(old.activation, llama::Activation::kGeluTanh);
  EXPECT_NEAR(old.embedding_scale, 2.0 * std::numbers::sqrt2, 1e-15);
  EXPECT_NEAR(old.AttentionScale(), 1.0 / 16.0, 1e-15);
}

TEST(ModelConfig, WhatOtherFamiliesNeedIsNamed) {
  const auto error_of = [](const std::string& type) {
    return ErrorOf(fmt::format(R"(, "model_type": "{}")", type));
  };
  EXPECT_THAT(error_of("phi3"),
              HasSubstr("model_type: needs what is not supported: its fused qkv_proj"));
  EXPECT_THAT(error_of("olmo2"), HasSubstr("norms after the blocks"));
  EXPECT_THAT(error_of("granite"), HasSubstr("multipliers"));
  EXPECT_THAT(error_of("qwen3_moe"), HasSubstr("mixtures of experts"));
  EXPECT_THAT(error_of("gemma3"), HasSubstr("gemma3_text"));
  EXPECT_THAT(error_of("unheard_of"), HasSubstr("only llama, qwen2, qwen3, mistral"));
}

// Whole numbers without a point, as readers with integer fields want them; and what a reader's own
// default would get wrong is said.
TEST(ModelConfig, WrittenIntegersAreIntegers) {
  for (const char* members :
       {R"(, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
             "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})",
        R"(, "model_type": "qwen2", "use_sliding_window": true, "sliding_window": 4,
             "max_window_layers": 2)",
        R"(, "model_type": "qwen3", "head_dim": 4)",
        R"(, "model_type": "mistral", "sliding_window": 4)",
        R"(, "model_type": "smollm3", "no_rope_layers": [1, 1, 1, 0])",
        R"(, "model_type": "gemma3_text", "query_pre_attn_scalar": 256, "head_dim": 4,
             "sliding_window": 4)"}) {
    const ModelConfig config = Read(members);
    const auto json =
        nlohmann::json::parse(WriteModelConfig(config, Precision::kFloat32)).flatten();
    for (const auto& [path, value] : json.items()) {
      const std::string key = path.substr(path.rfind('/') + 1);
      const bool real = key == "rms_norm_eps" || key.ends_with("factor") ||
                        key.starts_with("rope_theta") || key == "rope_local_base_freq";
      EXPECT_TRUE(value.is_number_float() == real) << members << path << ": " << value;
    }
    EXPECT_EQ(json.contains("/pad_token_id"), config.family == Family::kSmolLm3) << members;
  }
}

// Each by its key, whether or not anything is computed from it.
TEST(ModelConfig, ValuesThatMeanNothingAreRefusedByKeyAndRule) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("model_type": null)", "model_type: must be a string, got null"},
      {R"("use_cache": 5)", "use_cache: must be true or false, got 5"},
      {R"("initializer_range": "x")", "initializer_range: must be a number in [0, 1], got \"x\""},
      {R"("attention_dropout": 2)", "attention_dropout: must be a number in [0, 1], got 2"},
      {R"("pretraining_tp": "x")", "pretraining_tp: must be an integer in"},
      {R"("pad_token_id": 9)", "pad_token_id: must be an integer in [-1048576, 8], got 9"},
      {R"("pad_token_id": [1])", "pad_token_id: must be an integer in"},
      {R"("bos_token_id": 1.0)", "bos_token_id: must be an integer in"},
      {R"("rms_norm_eps": 1e300)", "rms_norm_eps: must be a number in [0, 1], got 1e+300"},
      {R"("rope_theta": 1e300)", "rope_theta: must be a number in [1, 1e+30], got 1e+300"},
      {R"("rope_theta": 1e-300)", "rope_theta: must be a number in [1, 1e+30], got 1e-300"},
      {R"("rope_scaling": {"type": "linear", "factor": 1e300})", "rope_scaling.factor: must be"},
      {R"("rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1e300,
           "high_freq_factor": 4, "original_max_position_embeddings": 8192})",
       "rope_scaling.low_freq_factor: must be a number in"},
      {R"("head_dim": 3)", "head_dim: must be even, got 3"},
      {R"("num_key_value_heads": 3)", "num_key_value_heads: must divide num_attention_heads (2)"},
      {R"("model_type": "gemma3_text", "query_pre_attn_scalar": 1e300)",
       "query_pre_attn_scalar: must be a number in"},
  };
  for (const auto& [member, error] : cases) {
    EXPECT_THAT(ErrorOf(std::string(", ") + member),
                HasSubstr(std::string("config.json: ") + error));
  }
}

TEST(ModelConfig, TheNumberOfHeadsIsBlamedForTheirWidth) {
  const auto of_heads = [](int heads) {
    const auto config = ParseModelConfig(
        "f",
        fmt::format(R"({{"num_hidden_layers": 4, "hidden_size": 16, "vocab_size": 9,
                         "num_attention_heads": {}, "intermediate_size": 4}})",
                    heads));
    return config ? "accepted" : config.error().Text();
  };
  EXPECT_EQ(of_heads(4), "accepted");
  EXPECT_EQ(of_heads(5), "f: num_attention_heads: must divide hidden_size (16), got 5");
  EXPECT_EQ(
      of_heads(16),
      "f: num_attention_heads: must divide hidden_size (16) into heads of even width, got 16");
}

TEST(ModelConfig, PartsThatAreMissingAreRefusedByName) {
  const std::string gemma = R"(, "model_type": "gemma3_text")";
  EXPECT_THAT(ErrorOf(gemma + R"(, "final_logit_softcapping": 30.0)"),
              HasSubstr("final_logit_softcapping"));
  EXPECT_THAT(ErrorOf(gemma + R"(, "use_bidirectional_attention": true)"),
              HasSubstr("use_bidirectional_attention"));
  EXPECT_THAT(ErrorOf(gemma + R"(, "hidden_activation": "silu")"), HasSubstr("hidden_activation"));
  EXPECT_THAT(ErrorOf(gemma + R"(, "sliding_window": null)"), HasSubstr("sliding_window"));
  EXPECT_THAT(ErrorOf(R"(, "layer_types": ["chunked_attention", "full_attention", "full_attention",
                                           "full_attention"])"),
              HasSubstr("layer_types[0]"));
  EXPECT_THAT(ErrorOf(R"(, "layer_types": ["full_attention"])"), HasSubstr("must have 4 entries"));
  EXPECT_THAT(ErrorOf(R"(, "layer_types": ["sliding_attention", "full_attention",
                                           "full_attention", "full_attention"])"),
              HasSubstr("windowed layers need a window"));
  EXPECT_THAT(ErrorOf(R"(, "model_type": "smollm3", "no_rope_layers": [1, 0])"),
              HasSubstr("no_rope_layers"));
  EXPECT_THAT(ErrorOf(R"(, "rope_parameters": {"partial_rotary_factor": 0.5})"),
              HasSubstr("partial_rotary_factor"));
}

}  // namespace
}  // namespace dashf::train
