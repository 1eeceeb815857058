// Row-major matrices that somebody else owns, and their product.
#pragma once

#include <cstdint>
#include <type_traits>

namespace dashf::llama {

template <class T>
struct Matrix {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;  // Elements from one row to the next; >= columns.

  Matrix() = default;
  Matrix(T* at, std::int64_t m, std::int64_t n) : Matrix(at, m, n, n) {}
  Matrix(T* at, std::int64_t m, std::int64_t n, std::int64_t step)
      : data(at), rows(m), columns(n), stride(step) {}
  // What can be written can be read.
  operator Matrix<const T>() const requires(!std::is_const_v<T>) {
    return {data, rows, columns, stride};
  }

  T* Row(std::int64_t i) const { return data + i * stride; }
  Matrix Rows(std::int64_t first, std::int64_t count) const {
    return {data == nullptr ? nullptr : data + first * stride, count, columns, stride};
  }
  Matrix Columns(std::int64_t first, std::int64_t count) const {
    return {data == nullptr ? nullptr : data + first, rows, count, stride};
  }
};

// A type of its own for reading, so that a Matrix<T> converts where T is deduced elsewhere.
template <class T>
using ConstMatrix = std::type_identity_t<Matrix<const T>>;

// c (m, n) = alpha op(a) op(b) + beta c, with op(a) (m, k) and op(b) (k, n). beta = 0 overwrites c,
// whatever it holds. Uses the OpenMP threads of the calling thread, one inside a parallel region.
enum class Op { kPlain, kTransposed };
template <class T>
void Multiply(std::type_identity_t<T> alpha,
              ConstMatrix<T> a,
              Op op_a,
              ConstMatrix<T> b,
              Op op_b,
              std::type_identity_t<T> beta,
              Matrix<T> c);

// c (m, n) = alpha a (m, k) b' + beta c with b (n, k): rows a through the weight b.
template <class T>
void MultiplyTransposed(std::type_identity_t<T> alpha,
                        ConstMatrix<T> a,
                        ConstMatrix<T> b,
                        std::type_identity_t<T> beta,
                        Matrix<T> c) {
  Multiply(alpha, a, Op::kPlain, b, Op::kTransposed, beta, c);
}

}  // namespace dashf::llama
