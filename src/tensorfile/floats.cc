#include "tensorfile/floats.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace dashf::tensorfile {
namespace {

template <class From>
std::vector<float> Convert(std::string_view bytes, From from) {
  std::vector<float> values(bytes.size() / sizeof(std::uint16_t));
  const char* at = bytes.data();  // May be unaligned.
  for (float& value : values) {
    std::uint16_t half = 0;
    std::memcpy(&half, at, sizeof half);
    at += sizeof half;
    value = from(half);
  }
  return values;
}

// Without a branch, so that several are looked at at once.
bool AllFinite(const std::vector<float>& values) {
  constexpr std::uint32_t kExponent = 0x7F800000U;
  std::uint32_t others = 0;
  for (const float value : values) {
    others |=
        static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & kExponent) == kExponent);
  }
  return others == 0;
}

}  // namespace

std::uint16_t ToBFloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

float FromBFloat16(std::uint16_t half) {
  return std::bit_cast<float>(std::uint32_t{half} << 16);
}

float FromFloat16(std::uint16_t half) {
  const bool negative = (half & 0x8000U) != 0;
  const int exponent = (half >> 10) & 0x1F;
  const int fraction = half & 0x3FF;
  float magnitude = 0.0F;
  if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else if (exponent == 31) {
    magnitude = fraction == 0 ? INFINITY : NAN;
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return negative ? -magnitude : magnitude;
}

Expected<std::vector<float>> ReadFloats(const std::string& where,
                                        const TensorView& view,
                                        const std::vector<std::int64_t>& shape) {
  if (view.shape != shape) {
    return Fail(
        ErrorKind::kBadInput,
        where,
        fmt::format(
            "must have shape [{}], got [{}]", fmt::join(shape, ", "), fmt::join(view.shape, ", ")));
  }
  std::vector<float> values;
  if (view.dtype == DType::kF32) {
    values.resize(view.bytes.size() / sizeof(float));
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
  } else if (view.dtype == DType::kF16) {
    values = Convert(view.bytes, FromFloat16);
  } else if (view.dtype == DType::kBF16) {
    values = Convert(view.bytes, FromBFloat16);
  } else {
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("must be F32, F16 or BF16, got {}", Name(view.dtype)));
  }
  if (AllFinite(values)) return values;
  return Fail(ErrorKind::kBadInput, where, "has a value that is not finite");
}

}  // namespace dashf::tensorfile
