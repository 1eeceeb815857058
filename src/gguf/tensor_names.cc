#include "gguf/tensor_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace dashf::gguf {
namespace {

constexpr std::array kArchitectures = {
    Architecture{.name = "llama", .interleaved = true},
    Architecture{.name = "smollm3", .interleaved = true},
    Architecture{.name = "qwen2"},
    Architecture{.name = "qwen3"},
    Architecture{.name = "gemma3", .norms_plus_one = true},
};

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kModelTypes[] = {{"llama", "llama"},
                                {"mistral", "llama"},
                                {"smollm3", "smollm3"},
                                {"qwen2", "qwen2"},
                                {"qwen3", "qwen3"},
                                {"gemma3_text", "gemma3"}};

// Modules of a layer.
constexpr Pair kModules[] = {{"self_attn.q_proj", "attn_q"},
                             {"self_attn.k_proj", "attn_k"},
                             {"self_attn.v_proj", "attn_v"},
                             {"self_attn.o_proj", "attn_output"},
                             {"self_attn.q_norm", "attn_q_norm"},
                             {"self_attn.k_norm", "attn_k_norm"},
                             {"mlp.gate_proj", "ffn_gate"},
                             {"mlp.up_proj", "ffn_up"},
                             {"mlp.down_proj", "ffn_down"},
                             {"input_layernorm", "attn_norm"},
                             {"pre_feedforward_layernorm", "ffn_norm"},
                             {"post_feedforward_layernorm", "post_ffw_norm"}};

constexpr Pair kOutside[] = {
    {"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}};

template <std::size_t kSize>
std::string_view Find(const Pair (&pairs)[kSize], std::string_view key) {
  const auto* const found = std::ranges::find(pairs, key, &Pair::first);
  return found == std::end(pairs) ? std::string_view() : found->second;
}

}  // namespace

std::optional<Architecture> FindArchitecture(std::string_view name) {
  const auto* const found = std::ranges::find(kArchitectures, name, &Architecture::name);
  return found == kArchitectures.end() ? std::nullopt : std::optional(*found);
}

std::string ArchitectureNames() {
  std::vector<std::string_view> names;
  for (const Architecture& architecture : kArchitectures) names.push_back(architecture.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string_view ArchitectureOf(std::string_view model_type) {
  return Find(kModelTypes, model_type);
}

std::string TensorName(std::string_view hugging_face, const Architecture& architecture) {
  const std::size_t dot = hugging_face.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view module = hugging_face.substr(0, dot), part = hugging_face.substr(dot);
  if (const std::string_view name = Find(kOutside, module); !name.empty()) {
    return std::string(name).append(part);
  }
  constexpr std::string_view kLayers = "model.layers.";
  if (!module.starts_with(kLayers)) return {};
  const std::string_view rest = module.substr(kLayers.size());
  const std::size_t end = rest.find('.');
  if (end == std::string_view::npos) return {};
  const std::string_view in_layer = rest.substr(end + 1);
  std::string_view name = Find(kModules, in_layer);
  if (in_layer == "post_attention_layernorm") {  // Gemma has a norm more on either side.
    name = architecture.name == "gemma3" ? "post_attention_norm" : "ffn_norm";
  }
  if (name.empty()) return {};
  return fmt::format("blk.{}.{}{}", rest.substr(0, end), name, part);
}

bool IsRotated(std::string_view hugging_face) {
  return hugging_face.find("q_proj") != std::string_view::npos ||
         hugging_face.find("k_proj") != std::string_view::npos;
}

}  // namespace dashf::gguf
