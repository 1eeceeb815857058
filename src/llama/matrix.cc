#include "llama/matrix.h"

#include <Eigen/Core>
#include <limits>
#include <new>

#include "base/check.h"

#if defined(__x86_64__)
#include <dnnl.h>
#else
// BLAS's Fortran interface (column-major), as every implementation exports it.
extern "C" void sgemm_(const char* op_a,
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
#endif

namespace dashf::llama {
namespace {

constexpr char Letter(Op op) {
  return op == Op::kPlain ? 'N' : 'T';
}

// c = beta c, where 0 overwrites what is no number too.
template <class T>
void Scale(T beta, Matrix<T> c) {
  for (std::int64_t i = 0; i < c.rows; ++i) {
    T* const row = c.Row(i);
    for (std::int64_t j = 0; j < c.columns; ++j) row[j] = beta == T{0} ? T{0} : beta * row[j];
  }
}

#if defined(__x86_64__)

// oneDNN, whose kernels are written for what the processor can at run time. OpenBLAS goes by a list
// of the processors of its day, and takes SSE3 on one that it does not know.
void Product(float alpha,
             Matrix<const float> a,
             Op op_a,
             Matrix<const float> b,
             Op op_b,
             float beta,
             std::int64_t inner,
             Matrix<float> c) {
  const dnnl_status_t status = dnnl_sgemm(Letter(op_a),
                                          Letter(op_b),
                                          c.rows,
                                          c.columns,
                                          inner,
                                          alpha,
                                          a.data,
                                          a.stride,
                                          b.data,
                                          b.stride,
                                          beta,
                                          c.data,
                                          c.stride);
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  DASHF_CHECK(status == dnnl_success);
}

#else

// OpenBLAS: oneDNN 2.6 has no fast float32 product for other processors.
void Product(float alpha,
             Matrix<const float> a,
             Op op_a,
             Matrix<const float> b,
             Op op_b,
             float beta,
             std::int64_t inner,
             Matrix<float> c) {
  const auto narrow = [](std::int64_t size) {
    DASHF_CHECK(size <= std::numeric_limits<int>::max());
    return static_cast<int>(size);
  };
  // A row-major matrix is its transpose in column-major order: c' = op(b)' op(a)'.
  const char first = Letter(op_b), second = Letter(op_a);
  const int m = narrow(c.columns), n = narrow(c.rows), k = narrow(inner);
  const int lda = narrow(b.stride), ldb = narrow(a.stride), ldc = narrow(c.stride);
  sgemm_(&first, &second, &m, &n, &k, &alpha, b.data, &lda, a.data, &ldb, &beta, c.data, &ldc);
}

#endif

template <class T>
auto Mapped(Matrix<T> x) {
  using Plain =
      Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Map = Eigen::Map<std::conditional_t<std::is_const_v<T>, const Plain, Plain>,
                         Eigen::Unaligned,
                         Eigen::OuterStride<>>;
  return Map(x.data, x.rows, x.columns, Eigen::OuterStride<>(x.stride));
}

// Double precision checks float32 and is in no hurry.
void Product(double alpha,
             Matrix<const double> a,
             Op op_a,
             Matrix<const double> b,
             Op op_b,
             double beta,
             std::int64_t,
             Matrix<double> c) {
  const auto left = Mapped(a), right = Mapped(b);
  auto out = Mapped(c);
  Scale(beta, c);
  if (op_a == Op::kPlain && op_b == Op::kPlain) out.noalias() += alpha * left * right;
  if (op_a == Op::kPlain && op_b != Op::kPlain) out.noalias() += alpha * left * right.transpose();
  if (op_a != Op::kPlain && op_b == Op::kPlain) out.noalias() += alpha * left.transpose() * right;
  if (op_a != Op::kPlain && op_b != Op::kPlain) {
    out.noalias() += alpha * left.transpose() * right.transpose();
  }
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
  if (inner == 0) return Scale(beta, c);
  Product(alpha, a, op_a, b, op_b, beta, inner, c);
}

template void Multiply<float>(
    float, ConstMatrix<float>, Op, ConstMatrix<float>, Op, float, Matrix<float>);
template void Multiply<double>(
    double, ConstMatrix<double>, Op, ConstMatrix<double>, Op, double, Matrix<double>);

}  // namespace dashf::llama
