// Means with confidence intervals.
#pragma once

#include <span>

namespace dashf {

// mean +- half_width holds the expected value with the confidence asked for, if the values are
// independent and normal: Student's t interval, half_width = t s / sqrt(n) with n - 1 degrees of
// freedom and s^2 = sum (x - mean)^2 / (n - 1). Infinite for one value; needs at least one.
struct ConfidenceInterval {
  double mean = 0.0;
  double half_width = 0.0;
  int values = 0;
  bool AboveZero() const { return mean - half_width > 0.0; }
  bool BelowZero() const { return mean + half_width < 0.0; }
};
ConfidenceInterval MeanInterval(std::span<const double> values, double confidence);

}  // namespace dashf
