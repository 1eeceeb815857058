#include "train/model_family.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace dashf::train {
namespace {

using llama::Family;

constexpr FamilyTraits kFamilies[] = {
    {.family = Family::kLlama,
     .model_type = "llama",
     .architecture = "LlamaForCausalLM",
     .bos_token = 1,
     .eos_token = 2},
    {.family = Family::kQwen2,
     .model_type = "qwen2",
     .architecture = "Qwen2ForCausalLM",
     .max_positions = 32768,
     .sliding_window = 4096},
    {.family = Family::kQwen3,
     .model_type = "qwen3",
     .architecture = "Qwen3ForCausalLM",
     .head_dim = 128,
     .max_positions = 32768,
     .sliding_window = 4096},
    {.family = Family::kMistral,
     .model_type = "mistral",
     .architecture = "MistralForCausalLM",
     .max_positions = 131072,
     .sliding_window = 4096,
     .bos_token = 1,
     .eos_token = 2},
    {.family = Family::kSmolLm3,
     .model_type = "smollm3",
     .architecture = "SmolLM3ForCausalLM",
     .tied_embeddings = true,
     .max_positions = 32768,
     .rope_theta = 2e6,
     .bos_token = 128000,
     .eos_token = 128001},
    {.family = Family::kGemma3,
     .model_type = "gemma3_text",
     .architecture = "Gemma3ForCausalLM",
     .tied_embeddings = true,
     .head_dim = 256,
     .max_positions = 131072,
     .rope_theta = 1e6,
     .sliding_window = 4096,
     .bos_token = 2,
     .eos_token = 1},
};

struct Missing {
  std::string_view model_type, part;
};
constexpr std::string_view kExperts = "mixtures of experts", kVision = "a vision tower";
constexpr std::string_view kLayerNorm = "LayerNorm and a feed-forward block without a gate";
constexpr Missing kMissing[] = {
    {"phi3", "its fused qkv_proj and gate_up_proj, and LongRoPE"},
    {"phi", "LayerNorm, parallel blocks and a rotation of part of each head"},
    {"gemma", "its configuration (Gemma 3's text models are read)"},
    {"gemma2", "soft caps on scores and logits"},
    {"gemma3", "a vision tower (its text models, gemma3_text, are read)"},
    {"gemma3n", "per-layer embeddings and its mixing of residual streams"},
    {"granite", "its multipliers of embeddings, residuals, scores and logits"},
    {"olmo", "LayerNorm without weights"},
    {"olmo2", "norms after the blocks alone, and over all heads of queries and keys at once"},
    {"olmo3", "norms after the blocks alone, and over all heads of queries and keys at once"},
    {"exaone4", "norms after the blocks alone"},
    {"glm4", "a fused gate_up_proj and a rotation of part of each head"},
    {"cohere", "LayerNorm and parallel blocks"},
    {"cohere2", "LayerNorm and parallel blocks"},
    {"stablelm", "LayerNorm and a rotation of part of each head"},
    {"nemotron", "LayerNorm, a squared ReLU and a rotation of part of each head"},
    {"ministral", "its configuration"},
    {"deepseek_v2", "latent attention and mixtures of experts"},
    {"deepseek_v3", "latent attention and mixtures of experts"},
    {"qwen3_next", "linear attention and mixtures of experts"},
    {"lfm2", "convolutions between its layers"},
    {"mamba", "state-space layers"},
    {"mamba2", "state-space layers"},
    {"mixtral", kExperts},
    {"qwen2_moe", kExperts},
    {"qwen3_moe", kExperts},
    {"granitemoe", kExperts},
    {"olmoe", kExperts},
    {"phimoe", kExperts},
    {"gpt_oss", kExperts},
    {"llama4", kExperts},
    {"llama4_text", kExperts},
    {"mllama", kVision},
    {"llava", kVision},
    {"mistral3", kVision},
    {"qwen2_vl", kVision},
    {"qwen2_5_vl", kVision},
    {"qwen3_vl", kVision},
    {"gpt2", kLayerNorm},
    {"gpt_neo", kLayerNorm},
    {"gpt_neox", kLayerNorm},
    {"gpt_bigcode", kLayerNorm},
    {"starcoder2", kLayerNorm},
    {"opt", kLayerNorm},
    {"bloom", kLayerNorm},
    {"falcon", kLayerNorm},
    {"mpt", kLayerNorm},
};

}  // namespace

const FamilyTraits& TraitsOf(Family family) {
  for (const FamilyTraits& traits : kFamilies) {
    if (traits.family == family) return traits;
  }
  DASHF_CHECK(false);
}

const FamilyTraits* FindFamily(std::string_view model_type) {
  const auto at = std::ranges::find(kFamilies, model_type, &FamilyTraits::model_type);
  return at == std::end(kFamilies) ? nullptr : &*at;
}

std::string WhyNotRead(std::string_view model_type) {
  const auto at = std::ranges::find(kMissing, model_type, &Missing::model_type);
  if (at != std::end(kMissing)) return fmt::format("needs what is not supported: {}", at->part);
  std::vector<std::string_view> read;
  for (const FamilyTraits& traits : kFamilies) read.push_back(traits.model_type);
  return fmt::format("only {} are supported", fmt::join(read, ", "));
}

}  // namespace dashf::train
