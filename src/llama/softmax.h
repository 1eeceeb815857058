// Softmax of rows of scores, and back. Internal.
#pragma once

#include <cstdint>

namespace dashf::llama {

// p_j = e^(s x_j) / sum over j < n, in place; x_j = 0 for n <= j < width. Returns the logarithm of
// the sum.
float SoftmaxRow(float scale, std::int64_t n, std::int64_t width, float* x);
double SoftmaxRow(double scale, std::int64_t n, std::int64_t width, double* x);

// x holds the scores and becomes p again; dp becomes s p (dp - sum(p dp)). Both 0 from n on.
void SoftmaxRowBackward(
    float scale, float log_sum, std::int64_t n, std::int64_t width, float* x, float* dp);
void SoftmaxRowBackward(
    double scale, double log_sum, std::int64_t n, std::int64_t width, double* x, double* dp);

// Where the largest of n >= 1 numbers lies; the first of equals.
std::int64_t IndexOfLargest(const float* x, std::int64_t n);
std::int64_t IndexOfLargest(const double* x, std::int64_t n);

}  // namespace dashf::llama
