// Adapters as files and as bytes for the wire. Files have the layout of Hugging Face's PEFT:
// adapter_config.json and adapter_model.safetensors with keys
// base_model.model.model.layers.{i}.self_attn.q_proj.lora_A.weight [rank, in] and .lora_B.weight
// [out, rank], or ...self_attn.adaption_prompt [1, length, d] and .adaption_gate [1]. Both
// directions check every shape and every value: these bytes come from strangers.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "train/adapter.h"

namespace dashf::train {

// Writes both files, or none if one cannot be. `base_model` is stored as base_model_name_or_path.
Expected<void> SaveAdapter(const Adapter& adapter,
                           const ModelConfig& model,
                           const std::string& base_model,
                           const std::filesystem::path& folder);

// The modules that adapter_config.json covers must be in the file, each with both factors, and no
// others. A module that is left out while another layer's is
// covered gets an inactive pair (A and B zero), as do layers without a prompt. Factors may be
// stored as F32, F16 or BF16. The config's ranks are believed only once the tensors have them.
Expected<Adapter> LoadAdapter(const std::filesystem::path& folder, const ModelConfig& model);
// The dropout that the folder's adapter asks for while it is trained, which nothing here applies.
Expected<double> DropoutOf(const std::filesystem::path& folder, const ModelConfig& model);

// Layers first..last (1-based, inclusive) as one safetensors image with PEFT's keys.
std::string EncodeLayers(const Adapter& adapter, int first, int last);

// Replaces layers first..last of `adapter`, which fixes the shapes, with the bytes' values. Nothing
// is changed unless all of it is sound: exactly these tensors, float32, every value finite, and
// each pair's ||A||_F ||B||_F, or ||prompt||_F |gate|, at most kAdapterNormMax.
inline constexpr double kAdapterNormMax = 1e4;
Expected<void> DecodeLayers(
    std::string_view bytes, int first, int last, const ModelConfig& model, Adapter* adapter);

// Whether peers would take what EncodeLayers gives of these layers; kNumerical: training has
// diverged.
Expected<void> CheckForPeers(const Adapter& adapter, int first, int last, const ModelConfig& model);

}  // namespace dashf::train
