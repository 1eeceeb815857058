// Tensors of a file as float32, whatever floating format they are stored in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensorfile/safetensors.h"

namespace dashf::tensorfile {

// The nearest bfloat16 of a finite number, ties to even; and back.
std::uint16_t ToBFloat16(float value);
float FromBFloat16(std::uint16_t half);
// IEEE 754 binary16.
float FromFloat16(std::uint16_t half);

// A tensor stored as F32, F16 or BF16. kBadInput at `where` for another type, another shape, or a
// value that is not finite.
Expected<std::vector<float>> ReadFloats(const std::string& where,
                                        const TensorView& view,
                                        const std::vector<std::int64_t>& shape);

}  // namespace dashf::tensorfile
