#include "llama/matrix.h"

#include "base/check.h"

// Fortran's interface to BLAS (column-major), as every implementation exports it.
extern "C" {
void sgemm_(const char* op_a,
            const char* op_b,
            const int* m,
            const int* n,
            const int* k,
            const float* alpha,
            const float* a,
            const int* lda,
            const float* b,
            const int* ldb,
            const float* beta,
            float* c,
            const int* ldc);
void dgemm_(const char* op_a,
            const char* op_b,
            const int* m,
            const int* n,
            const int* k,
            const double* alpha,
            const double* a,
            const int* lda,
            const double* b,
            const int* ldb,
            const double* beta,
            double* c,
            const int* ldc);
}

namespace dashf::llama {
namespace {

constexpr auto Gemm(float) {
  return sgemm_;
}
constexpr auto Gemm(double) {
  return dgemm_;
}

}  // namespace

template <class T>
void Multiply(std::type_identity_t<T> alpha,
              ConstMatrix<T> a,
              Op op_a,
              ConstMatrix<T> b,
              Op op_b,
              std::type_identity_t<T> beta,
              Matrix<T> c) {
  const bool a_plain = op_a == Op::kPlain, b_plain = op_b == Op::kPlain;
  const std::int64_t inner = a_plain ? a.columns : a.rows;
  DASHF_CHECK((a_plain ? a.rows : a.columns) == c.rows);
  DASHF_CHECK((b_plain ? b.columns : b.rows) == c.columns);
  DASHF_CHECK((b_plain ? b.rows : b.columns) == inner);
  if (c.rows == 0 || c.columns == 0) return;
  // A row-major matrix is its transpose in column-major order: c' = op(b)' op(a)'.
  const int m = static_cast<int>(c.columns), n = static_cast<int>(c.rows);
  const int k = static_cast<int>(inner);
  const int lda = static_cast<int>(b.stride), ldb = static_cast<int>(a.stride);
  const int ldc = static_cast<int>(c.stride);
  Gemm(T{})(b_plain ? "N" : "T",
            a_plain ? "N" : "T",
            &m,
            &n,
            &k,
            &alpha,
            b.data,
            &lda,
            a.data,
            &ldb,
            &beta,
            c.data,
            &ldc);
}

template void Multiply<float>(
    float, ConstMatrix<float>, Op, ConstMatrix<float>, Op, float, Matrix<float>);
template void Multiply<double>(
    double, ConstMatrix<double>, Op, ConstMatrix<double>, Op, double, Matrix<double>);

}  // namespace dashf::llama
