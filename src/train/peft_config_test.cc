#include "train/peft_config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "train/projection.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

using ::testing::HasSubstr;
using testing::TinyConfig;

// A LoRA configuration with these members more; `targets` is JSON.
Expected<PeftConfig> Parsed(const std::string& targets, const std::string& members = "") {
  return ParsePeftConfig(
      "f",
      fmt::format(R"({{"peft_type": "LORA", "r": 2, "lora_alpha": 16, "target_modules": {}{}}})",
                  targets,
                  members),
      TinyConfig());
}

// What is covered, as "0.q_proj 2.up_proj", or the error.
std::string Covered(const std::string& targets, const std::string& members = "") {
  const auto config = Parsed(targets, members);
  if (!config) return config.error().Text();
  std::string covered;
  for (int layer = 0; layer < TinyConfig().layers; ++layer) {
    for (const std::string_view target : kProjectionNames) {
      if (!config->coverage.Covers(layer, std::string(target))) continue;
      covered += fmt::format("{}{}.{}", covered.empty() ? "" : " ", layer, target);
    }
  }
  return covered;
}

constexpr const char* kQueries = "0.q_proj 1.q_proj 2.q_proj";

// The expected modules are those that PEFT 0.21.2 adapts in such a model.
TEST(PeftConfig, ExpressionsNameModulesByTheWholeOfTheirNames) {
  EXPECT_EQ(Covered(R"(".*q_proj")"), kQueries);
  EXPECT_EQ(Covered(R"x("model\\.layers\\.\\d+\\.self_attn\\.(q_proj)")x"), kQueries);
  EXPECT_EQ(Covered(R"("(?i).*Q_PROJ")"), kQueries);
  EXPECT_EQ(Covered(R"("^(?!.*layers\\.1\\.).*\\.[qk]_proj$")"),
            "0.q_proj 0.k_proj 2.q_proj 2.k_proj");
  EXPECT_EQ(Covered(R"(".*(?P<layer>[02])\\.mlp\\.(?:up|down)_proj")"),
            "0.up_proj 0.down_proj 2.up_proj 2.down_proj");
  EXPECT_EQ(
      Covered(R"x("(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|up_proj).*?))x"
              R"x(|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_attn|mlp)\\.(?:(?:q_proj)))")x"),
      kQueries);
  const std::string all = Covered(R"("all-linear")");
  EXPECT_EQ(all, Covered(R"(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
                             "down_proj"])"));
}

TEST(PeftConfig, ExcludedModulesAreLeftOut) {
  const std::string both = R"(["q_proj", "k_proj"])";
  EXPECT_EQ(Covered(both, R"(, "exclude_modules": ["k_proj"])"), kQueries);
  EXPECT_EQ(Covered(both, R"(, "exclude_modules": ["1.self_attn.q_proj", "k_proj", "lm_head"])"),
            "0.q_proj 2.q_proj");
  EXPECT_EQ(Covered(both, R"(, "exclude_modules": ".*layers\\.[12].*|.*k_proj")"), "0.q_proj");
  EXPECT_EQ(Covered(R"(".*_proj|lm_head")", R"(, "exclude_modules": "lm_head|.*[^q]_proj")"),
            kQueries);
  EXPECT_EQ(Covered(both, R"(, "exclude_modules": [], "layers_to_transform": [])"),
            Covered(both, R"(, "exclude_modules": null)"));
  EXPECT_THAT(Covered(both, R"(, "exclude_modules": ["q_proj", "k_proj"])"),
              HasSubstr("none of the model's modules that exclude_modules leaves"));
  EXPECT_THAT(Covered(both, R"(, "exclude_modules": "(")"), HasSubstr("f: exclude_modules: must"));
}

TEST(PeftConfig, LayersMayBeChosen) {
  const std::string query = R"(["q_proj"])";
  EXPECT_EQ(Covered(query, R"(, "layers_to_transform": 1)"), "1.q_proj");
  EXPECT_EQ(Covered(query, R"(, "layers_to_transform": [0, 2], "layers_pattern": "layers")"),
            "0.q_proj 2.q_proj");
  EXPECT_EQ(Covered(query, R"(, "layers_to_transform": [2], "layers_pattern": ["h", "layers"])"),
            "2.q_proj");
  // A whole name stands for itself, whatever the layers.
  EXPECT_EQ(Covered(R"(["k_proj", "model.layers.0.self_attn.q_proj"])",
                    R"(, "layers_to_transform": [1])"),
            "0.q_proj 1.k_proj");
  EXPECT_THAT(Covered(query, R"(, "layers_to_transform": [1], "layers_pattern": "h")"),
              HasSubstr("layers_pattern: must be \"layers\""));
  EXPECT_THAT(Covered(query, R"(, "layers_pattern": "layers")"),
              HasSubstr("layers_pattern: needs layers_to_transform"));
  EXPECT_THAT(Covered(R"(".*q_proj")", R"(, "layers_to_transform": [1])"),
              HasSubstr("layers_to_transform: is not allowed where"));
  EXPECT_THAT(Covered(R"("all-linear")", R"(, "layers_pattern": "layers")"),
              HasSubstr("layers_pattern: is not allowed where"));
}

TEST(PeftConfig, ExpressionsThatPeftWouldNotTakeSoAreRefused) {
  EXPECT_THAT(Covered(R"("[")"),
              HasSubstr("target_modules: must be a regular expression: missing"));
  EXPECT_THAT(Covered(R"("q_proj")"), HasSubstr("target_modules: covers none of"));
  EXPECT_THAT(Covered(R"("")"), HasSubstr("target_modules: covers none of"));
  EXPECT_THAT(Covered(R"(["model.layers.9.self_attn.q_proj"])"), HasSubstr("covers none of"));
  EXPECT_THAT(Covered(R"(".*")"), HasSubstr("covers model, which cannot be adapted"));
  EXPECT_THAT(Covered(R"(".*_proj|lm_head")"), HasSubstr("covers lm_head, which cannot"));
  EXPECT_THAT(Covered(R"("model\\.layers\\.0\\..*")"),
              HasSubstr("covers model.layers.0.self_attn"));
  for (const char* odd : {R"((*ACCEPT).*)",
                          R"(.*\\K)",
                          R"((?R))",
                          R"([[:alpha:]]+)",
                          R"(.{,9})",
                          R"(a{1}{2})",
                          R"(.*(?<=q)_proj)",
                          R"(.*\\p{L})",
                          R"(.*(?s))"}) {
    EXPECT_THAT(Covered(fmt::format("\"{}\"", odd)),
                HasSubstr("must be a regular expression without"))
        << odd;
  }
  EXPECT_THAT(Covered(R"("(([a-z._]|[a-z._0-9])*)*[!?]")"), HasSubstr("that decides on"));
}

TEST(PeftConfig, OtherTasksAreRefused) {
  const std::string query = R"(["q_proj"])";
  EXPECT_EQ(Covered(query, R"(, "task_type": null)"), kQueries);
  EXPECT_EQ(Covered(query, R"(, "task_type": "CAUSAL_LM")"), kQueries);
  for (const char* task : {"\"SEQ_CLS\"", "\"FEATURE_EXTRACTION\"", "\"causal_lm\"", "5"}) {
    EXPECT_THAT(Covered(query, fmt::format(R"(, "task_type": {})", task)), HasSubstr("task_type"));
  }
  const auto prompts =
      ParsePeftConfig("f",
                      R"({"peft_type": "ADAPTION_PROMPT", "task_type": "SEQ_CLS", "adapter_len": 3,
          "adapter_layers": 2})",
                      TinyConfig());
  ASSERT_FALSE(prompts);
  EXPECT_THAT(prompts.error().Text(), HasSubstr("task_type: only \"CAUSAL_LM\""));
}

// Every key that PEFT 0.21.2 writes for LoRA, at its default or where it changes no result.
TEST(PeftConfig, WhatChangesNothingIsTaken) {
  EXPECT_EQ(Covered(R"(["q_proj"])",
                    R"(, "alora_invocation_tokens": null, "arrow_config": null,
      "auto_mapping": {"base_model_class": "LlamaForCausalLM"}, "base_model_name_or_path": "x",
      "bias": "none", "corda_config": null, "ensure_weight_tying": true, "eva_config": {"rho": 2.0},
      "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
      "init_lora_weights": true, "kasa_config": null, "layer_replication": null,
      "layers_pattern": null, "layers_to_transform": null, "loftq_config": {"loftq_bits": 4},
      "lora_bias": false, "lora_dropout": 0.05, "lora_ga_config": null, "megatron_config": null,
      "megatron_core": "megatron.core", "modules_to_save": null, "monteclora_config": null,
      "peft_version": "0.21.2", "qalora_group_size": 16, "revision": "main",
      "target_parameters": null, "task_type": "CAUSAL_LM", "trainable_token_indices": null,
      "use_bdlora": null, "use_dora": false, "use_qalora": false, "use_rslora": false,
      "velora_config": null, "not_yet_known": null, "nor_this": [], "nor_that": false)"),
            kQueries);
}

TEST(PeftConfig, VariantsThatWouldChangeTheResultAreRefusedByName) {
  const std::pair<const char*, const char*> variants[] = {
      {"use_dora", "true"},
      {"bias", R"("all")"},
      {"modules_to_save", R"(["lm_head"])"},
      {"init_lora_weights", R"("pissa")"},
      {"init_lora_weights", "5"},
      {"trainable_token_indices", "[3]"},
      {"layer_replication", "[[0, 2]]"},
      {"use_rslora", "1"},
      {"megatron_config", R"({"a": 1})"},
      {"velora_config", R"({"a": 1})"},
      {"use_qalora", "true"},
      {"fan_in_fan_out", "true"},
      {"target_parameters", R"(["mlp.w"])"},
      {"not_yet_known", "0.5"},
  };
  for (const auto& [key, value] : variants) {
    EXPECT_THAT(Covered(R"(["q_proj"])", fmt::format(R"(, "{}": {})", key, value)),
                HasSubstr(fmt::format("f: {}: ", key)));
  }
}

}  // namespace
}  // namespace dashf::train
