// The element types of GGUF tensors, and their numbers as float32. A quantised type stores blocks
// of 32 or 256 numbers in a row, with one or more scales each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace dashf::gguf {

// With ggml's numbers (enum ggml_type).
enum class TensorType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

struct Block {
  TensorType type;
  std::string_view name;  // As ggml spells it: "Q4_K".
  std::int64_t elements;
  std::int64_t bytes;
};

// Nothing for a number that is none of the types above.
std::optional<Block> FindBlock(std::uint32_t number);
const Block& BlockOf(TensorType type);
// ggml's name of a type that is not read ("IQ4_XS"); empty for a number that ggml has none for.
std::string_view UnreadTypeName(std::uint32_t number);

// The numbers of whole blocks, bit for bit those of ggml's dequantize_row_* without fused
// operations. `values` has as many elements as the blocks in `bytes`.
void Decode(TensorType type, std::string_view bytes, std::span<float> values);

}  // namespace dashf::gguf
