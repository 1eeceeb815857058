// Rows through a frozen weight and gradients back through it: the one place where the arithmetic of
// a weight (StoredMatrix::arithmetic) decides how they are multiplied.
#pragma once

#include <cstdint>
#include <type_traits>

#include "llama/matrix.h"
#include "llama/stored_matrix.h"

namespace dashf::llama {

// With w (out, in) the rows begin..begin + out - 1 of `weight`, and `scratch` of
// StoredMatrix::ScratchElements(in). beta is 0, which overwrites, or 1.
//
// y (N, out) = x w' + beta y; x (N, in).
template <class T>
void MultiplyThrough(const StoredMatrix& weight,
                     std::int64_t begin,
                     ConstMatrix<T> x,
                     std::type_identity_t<T> beta,
                     T* scratch,
                     Matrix<T> y);
// dx (N, in) = dy w + beta dx; dy (N, out).
template <class T>
void MultiplyBackThrough(const StoredMatrix& weight,
                         std::int64_t begin,
                         ConstMatrix<T> dy,
                         std::type_identity_t<T> beta,
                         T* scratch,
                         Matrix<T> dx);

}  // namespace dashf::llama
