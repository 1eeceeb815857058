// LoRA adapters as llama.cpp's files: GGUF with "blk.0.attn_q.weight.lora_a" [rank, in] and
// ".lora_b" [out, rank], and one alpha for all; a projection's scale is alpha / rank. Rows of
// queries and keys are permuted as in the architecture's models (gguf/tensor_names.h).
#pragma once

#include <string>

#include "base/error.h"
#include "train/adapter.h"

namespace dashf::train {

// The file's bytes. What the file's one alpha cannot say (rank_stabilized, alpha_pattern) is
// multiplied into lora_b. kBadInput for what is no LoRA, or a family that llama.cpp has no
// architecture for.
Expected<std::string> EncodeGgufAdapter(const Adapter& adapter, const ModelConfig& model);

// Back: ranks that differ become a rank_pattern. kIo, or kBadInput naming the tensor or key.
Expected<Adapter> ReadGgufAdapter(const std::string& path, const ModelConfig& model);
// The same of bytes in memory; `name` is the place that errors name.
Expected<Adapter> ParseGgufAdapter(const std::string& name,
                                   std::string bytes,
                                   const ModelConfig& model);

}  // namespace dashf::train
