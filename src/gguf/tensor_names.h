// How GGUF files name and lay out the tensors of a decoder that Hugging Face names otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dashf::gguf {

// What llama.cpp's converter does to the tensors of an architecture.
struct Architecture {
  std::string_view name;  // "general.architecture".
  // Rows of a head of queries and keys are paired (0, 1), (2, 3), ... for the rotation, where
  // Hugging Face pairs the first half with the second.
  bool interleaved = false;
  bool norms_plus_one = false;  // Norms' weights have 1 added.
};

std::optional<Architecture> FindArchitecture(std::string_view name);
std::string ArchitectureNames();  // "llama, qwen2, ..."
// The architecture of a Hugging Face "model_type"; empty: none.
std::string_view ArchitectureOf(std::string_view model_type);

// "blk.0.attn_q.weight" for "model.layers.0.self_attn.q_proj.weight"; empty for a name that is not
// known. `architecture` decides what "post_attention_layernorm" is.
std::string TensorName(std::string_view hugging_face, const Architecture& architecture);

// Is it queries' or keys' projection, whose rows an interleaved architecture permutes? Of the
// Hugging Face name of a weight or a bias.
bool IsRotated(std::string_view hugging_face);
// Where row `row` of the file stands in Hugging Face's order, in heads of `head_dim` rows.
constexpr std::int64_t RotateHalfRow(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t head = row / head_dim, at = row % head_dim;
  return head * head_dim + at / 2 + at % 2 * (head_dim / 2);
}

}  // namespace dashf::gguf
