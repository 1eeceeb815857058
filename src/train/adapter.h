// What fine-tuning trains while the model is frozen: LoRA factors, or LLaMA-Adapter's prompts.
// Plain data, so that whatever moves, stores or checks an adapter needs no tensor library.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "train/lora.h"
#include "train/model.h"

namespace dashf::train {

enum class AdapterKind { kLora, kAdaptionPrompt };

// LLaMA-Adapter (Zhang et al. 2023, arXiv:2303.16199) as PEFT's ADAPTION_PROMPT has it: in every
// layer's attention each query also attends to P learnt vectors, by a softmax of its own and
// without rotation, and a learnt gate, 0 at first, scales what comes of it:
//   o_proj(attention + gate * softmax(q (W_k prompt)' / sqrt(head_dim)) W_v prompt).
struct PromptConfig {
  int length = 10;  // P, in [1, 4096].
  bool operator==(const PromptConfig&) const = default;
};

struct AdapterConfig {
  AdapterKind kind = AdapterKind::kLora;
  LoraConfig lora = {};      // Of kLora.
  PromptConfig prompt = {};  // Of kAdaptionPrompt.
  bool operator==(const AdapterConfig&) const = default;
};

struct LayerPrompt {
  std::vector<float> prompt;  // [length, d], row-major.
  float gate = 0.0F;
  bool operator==(const LayerPrompt&) const = default;
};

struct Adapter {
  AdapterConfig config;
  // LoRA: layers[i][j] belongs to config.lora.targets[j] in layer i.
  std::vector<std::vector<LoraPair>> layers = {};
  std::vector<LayerPrompt> prompts = {};  // LLaMA-Adapter: one per layer.
  bool operator==(const Adapter&) const = default;
};

// LoRA: A uniform in +-1/sqrt(in) (PEFT's kaiming_uniform with a = sqrt(5)), B zero. LLaMA-Adapter:
// prompts standard normal, gates zero. Either way the model is unchanged at first. Same seed, same
// bytes; layer i's numbers do not depend on the other layers. kBadInput as CheckAdapterConfig.
Expected<Adapter> InitialAdapter(const ModelConfig& model,
                                 const AdapterConfig& config,
                                 std::uint64_t seed);

// CheckLora, or a prompt length in [1, 4096] and a model without a bias behind attention: PEFT adds
// that bias a second time, so that no folder would mean the same to both. kBadInput.
Expected<void> CheckAdapterConfig(const AdapterConfig& config, const ModelConfig& model);

// Every shape fits the model and every value is finite; kBadInput names layer, tensor and rule.
Expected<void> CheckAdapter(const Adapter& adapter, const ModelConfig& model);

}  // namespace dashf::train
