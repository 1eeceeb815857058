#include "llama/softmax.h"

#include <algorithm>

#include "llama/vector_math.h"

namespace dashf::llama {
namespace {

template <class T>
DASHF_INLINE T Largest(const T* x, std::int64_t n) {
  T largest = x[0];
#pragma omp simd reduction(max : largest)
  for (std::int64_t j = 0; j < n; ++j) largest = x[j] > largest ? x[j] : largest;
  return largest;
}

template <class T>
DASHF_INLINE T Softmax(T scale, std::int64_t n, std::int64_t width, T* x) {
  const T largest = scale * Largest(x, n);
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) {
    x[j] = Exp(scale * x[j] - largest);
    sum += x[j];
  }
  const T inverse = T{1} / sum;
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) x[j] *= inverse;
  for (std::int64_t j = n; j < width; ++j) x[j] = 0;
  return largest + std::log(sum);
}

template <class T>
DASHF_INLINE void Backward(T scale, T log_sum, std::int64_t n, std::int64_t width, T* x, T* dp) {
  T mean = 0;
#pragma omp simd reduction(+ : mean)
  for (std::int64_t j = 0; j < n; ++j) {
    x[j] = Exp(scale * x[j] - log_sum);
    mean += x[j] * dp[j];
  }
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) dp[j] = scale * x[j] * (dp[j] - mean);
  for (std::int64_t j = n; j < width; ++j) x[j] = dp[j] = 0;
}

DASHF_VECTORISED float LargestOf(const float* x, std::int64_t n) {
  return Largest(x, n);
}

}  // namespace

DASHF_VECTORISED float SoftmaxRow(float scale, std::int64_t n, std::int64_t width, float* x) {
  return Softmax(scale, n, width, x);
}
double SoftmaxRow(double scale, std::int64_t n, std::int64_t width, double* x) {
  return Softmax(scale, n, width, x);
}

DASHF_VECTORISED void SoftmaxRowBackward(
    float scale, float log_sum, std::int64_t n, std::int64_t width, float* x, float* dp) {
  Backward(scale, log_sum, n, width, x, dp);
}
void SoftmaxRowBackward(
    double scale, double log_sum, std::int64_t n, std::int64_t width, double* x, double* dp) {
  Backward(scale, log_sum, n, width, x, dp);
}

std::int64_t IndexOfLargest(const float* x, std::int64_t n) {
  return std::find(x, x + n, LargestOf(x, n)) - x;
}
std::int64_t IndexOfLargest(const double* x, std::int64_t n) {
  return std::max_element(x, x + n) - x;
}

}  // namespace dashf::llama
