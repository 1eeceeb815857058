// Matrix products of bfloat16 numbers, summed in float32, by oneDNN: the processor multiplies pairs
// of them, twice as many as float32 numbers with AVX512_BF16, many more with AMX.
#pragma once

#include <cstdint>

#include "llama/matrix.h"

namespace dashf::llama {

// Whether the processor has such instructions. oneDNN computes the same without them, but slower
// than float32.
bool HasBFloat16Products();

// to = from, each rounded to the nearest bfloat16, ties to even; what is not finite stays so.
void RoundToBFloat16(Matrix<const float> from, Matrix<std::uint16_t> to);

// c (m, n) = a (m, k) op(b) + beta c, where beta is 0, which overwrites c, or 1. Threads as
// Multiply's.
void MultiplyBFloat16(Matrix<const std::uint16_t> a,
                      Matrix<const std::uint16_t> b,
                      Op op_b,
                      float beta,
                      Matrix<float> c);

}  // namespace dashf::llama
