#include "gguf/blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace dashf::gguf {
namespace {

using Byte = std::uint8_t;

constexpr std::array kBlocks = {
    Block{TensorType::kF32, "F32", 1, 4},
    Block{TensorType::kF16, "F16", 1, 2},
    Block{TensorType::kQ4_0, "Q4_0", 32, 18},
    Block{TensorType::kQ4_1, "Q4_1", 32, 20},
    Block{TensorType::kQ5_0, "Q5_0", 32, 22},
    Block{TensorType::kQ5_1, "Q5_1", 32, 24},
    Block{TensorType::kQ8_0, "Q8_0", 32, 34},
    Block{TensorType::kQ4_K, "Q4_K", 256, 144},
    Block{TensorType::kQ5_K, "Q5_K", 256, 176},
    Block{TensorType::kQ6_K, "Q6_K", 256, 210},
    Block{TensorType::kBF16, "BF16", 1, 2},
};

constexpr std::pair<std::uint32_t, std::string_view> kUnread[] = {
    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
    {34, "TQ1_0"},   {35, "TQ2_0"}, {39, "MXFP4"}};

std::uint16_t Half(const Byte* at) {
  return static_cast<std::uint16_t>(at[0] | at[1] << 8);
}

std::uint32_t Word(const Byte* at) {
  return Half(at) | std::uint32_t{Half(at + 2)} << 16;
}

// IEEE 754 binary16. Scales of blocks are infinite or no number only in broken files, whose values
// then are so, too.
float Float16(const Byte* at) {
  const std::uint32_t half = Half(at);
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1FU, fraction = half & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign == 0 ? magnitude : -magnitude;
  }
  const std::uint32_t wide = exponent == 0x1FU ? 0xFFU : exponent + 112U;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

// Blocks of 32: a scale, a least value or none, then 4-bit parts, of which the low ones are the
// first 16 numbers, and possibly a fifth bit of each number before them.
struct SmallBlock {
  int bits;
  bool has_min;
};

template <SmallBlock kKind>
void DecodeSmall(const Byte* at, float* to) {
  const float scale = Float16(at);
  at += 2;
  float least = 0.0F;
  if constexpr (kKind.has_min) {
    least = Float16(at);
    at += 2;
  }
  std::uint32_t fifth = 0;
  if constexpr (kKind.bits == 5) {
    fifth = Word(at);
    at += 4;
  }
  constexpr int kMiddle = kKind.has_min ? 0 : 1 << (kKind.bits - 1);
  for (unsigned i = 0; i < 32; ++i) {
    const unsigned low = i < 16 ? at[i] & 0xFU : at[i - 16] >> 4U;
    const int level = static_cast<int>(low | (fifth >> i & 1U) << 4U) - kMiddle;
    const float product = static_cast<float>(level) * scale;
    to[i] = kKind.has_min ? product + least : product;
  }
}

void DecodeQ8(const Byte* at, float* to) {
  const float scale = Float16(at);
  for (int i = 0; i < 32; ++i) {
    to[i] = static_cast<float>(static_cast<std::int8_t>(at[2 + i])) * scale;
  }
}

// The 6-bit scale and least value of each of the eight parts of a Q4_K or Q5_K block, in 12 bytes.
std::pair<unsigned, unsigned> ScaleAndMin(const Byte* packed, unsigned part) {
  if (part < 4) return {packed[part] & 63U, packed[part + 4] & 63U};
  return {(packed[part + 4] & 0xFU) | (packed[part - 4] >> 6U) << 4U,
          static_cast<unsigned>(packed[part + 4] >> 4U) | (packed[part] >> 6U) << 4U};
}

// Scale, scale of the least values, 12 bytes of those; Q5_K: 32 bytes of fifth bits; 4-bit parts.
template <int kBits>
void DecodeK(const Byte* at, float* to) {
  const float scale = Float16(at), scale_min = Float16(at + 2);
  const Byte* const packed = at + 4;
  const Byte* const high = at + 16;
  const Byte* const low = kBits == 5 ? at + 48 : at + 16;
  for (unsigned part = 0; part < 8; ++part) {
    const auto [s, m] = ScaleAndMin(packed, part);
    const float d = scale * static_cast<float>(s), least = scale_min * static_cast<float>(m);
    for (unsigned i = 0; i < 32; ++i) {
      const Byte pair = low[part / 2 * 32 + i];
      unsigned level = part % 2 == 0 ? pair & 0xFU : pair >> 4U;
      if constexpr (kBits == 5) level |= (high[i] >> part & 1U) << 4U;
      to[32 * part + i] = d * static_cast<float>(level) - least;
    }
  }
}

// 128 bytes of low 4 bits, 64 of the high 2, 16 signed scales, then the scale of these.
void DecodeQ6K(const Byte* at, float* to) {
  const Byte* const low = at;
  const Byte* const high = at + 128;
  const Byte* const scales = at + 192;
  const float scale = Float16(at + 208);
  for (unsigned i = 0; i < 256; ++i) {
    const unsigned half = i / 128, quarter = i % 128 / 32, lane = i % 32;
    const Byte pair = low[half * 64 + quarter % 2 * 32 + lane];
    const unsigned four = quarter < 2 ? pair & 0xFU : pair >> 4U;
    const unsigned two = high[half * 32 + lane] >> (2 * quarter) & 3U;
    const int level = static_cast<int>(four | two << 4U) - 32;
    const float part = scale * static_cast<float>(static_cast<std::int8_t>(scales[i / 16]));
    to[i] = part * static_cast<float>(level);
  }
}

void DecodeBlock(TensorType type, const Byte* at, float* to) {
  switch (type) {
    case TensorType::kF32:
      *to = std::bit_cast<float>(Word(at));
      return;
    case TensorType::kF16:
      *to = Float16(at);
      return;
    case TensorType::kBF16:
      *to = std::bit_cast<float>(std::uint32_t{Half(at)} << 16);
      return;
    case TensorType::kQ4_0:
      return DecodeSmall<SmallBlock{4, false}>(at, to);
    case TensorType::kQ4_1:
      return DecodeSmall<SmallBlock{4, true}>(at, to);
    case TensorType::kQ5_0:
      return DecodeSmall<SmallBlock{5, false}>(at, to);
    case TensorType::kQ5_1:
      return DecodeSmall<SmallBlock{5, true}>(at, to);
    case TensorType::kQ8_0:
      return DecodeQ8(at, to);
    case TensorType::kQ4_K:
      return DecodeK<4>(at, to);
    case TensorType::kQ5_K:
      return DecodeK<5>(at, to);
    case TensorType::kQ6_K:
      return DecodeQ6K(at, to);
  }
  DASHF_CHECK(false);
}

}  // namespace

std::optional<Block> FindBlock(std::uint32_t number) {
  const auto* const found =
      std::ranges::find(kBlocks, static_cast<TensorType>(number), &Block::type);
  return found == kBlocks.end() ? std::nullopt : std::optional(*found);
}

const Block& BlockOf(TensorType type) {
  const auto* const found = std::ranges::find(kBlocks, type, &Block::type);
  DASHF_CHECK(found != kBlocks.end());
  return *found;
}

std::string_view UnreadTypeName(std::uint32_t number) {
  const auto found =
      std::ranges::find(kUnread, number, &std::pair<std::uint32_t, std::string_view>::first);
  return found == std::end(kUnread) ? std::string_view() : found->second;
}

void Decode(TensorType type, std::string_view bytes, std::span<float> values) {
  const Block& block = BlockOf(type);
  const auto size = static_cast<std::size_t>(block.bytes);
  const auto elements = static_cast<std::size_t>(block.elements);
  DASHF_CHECK(bytes.size() / size * elements == values.size() && bytes.size() % size == 0);
  const auto* const at = reinterpret_cast<const Byte*>(bytes.data());
  for (std::size_t i = 0; i * size < bytes.size(); ++i) {
    DecodeBlock(type, at + i * size, values.data() + i * elements);
  }
}

}  // namespace dashf::gguf
