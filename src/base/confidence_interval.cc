#include "base/confidence_interval.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace dashf {

ConfidenceInterval MeanInterval(std::span<const double> values, double confidence) {
  DASHF_CHECK(!values.empty() && confidence > 0.0 && confidence < 1.0);
  const auto n = static_cast<double>(values.size());
  ConfidenceInterval interval{.values = static_cast<int>(values.size())};
  for (const double value : values) interval.mean += value / n;
  if (values.size() == 1) {
    interval.half_width = std::numeric_limits<double>::infinity();
    return interval;
  }
  double squares = 0.0;
  for (const double value : values) squares += std::pow(value - interval.mean, 2);
  const boost::math::students_t_distribution<double> student(n - 1.0);
  const double t = boost::math::quantile(student, 0.5 + 0.5 * confidence);
  interval.half_width = t * std::sqrt(squares / (n - 1.0) / n);
  return interval;
}

}  // namespace dashf
