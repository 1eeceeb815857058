#include "round/factors.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dashf {

// Running mean and variance; from kFactorMemory phases on with the weight that the last of them
// had.
void Factor::Hear(double ratio) {
  phases = std::min(phases, std::numeric_limits<std::uint32_t>::max() - 1) + 1;
  const double weight = 1.0 / std::min(phases, kFactorMemory);
  const double deviation = std::log(std::clamp(ratio, 1.0 / kFactorMax, kFactorMax)) - log_mean;
  log_mean += weight * deviation;
  log_variance = (1.0 - weight) * (log_variance + weight * deviation * deviation);
}

double Factor::Mean() const {
  return std::clamp(std::exp(log_mean), 1.0 / kFactorMax, kFactorMax);  // exp(log(x)) may exceed x.
}

double Factor::Spread() const {
  return std::clamp(std::exp(std::sqrt(log_variance)), 1.0, kFactorMax * kFactorMax);
}

}  // namespace dashf
