// The middle value; of an even number, the mean of the two in the middle.
#pragma once

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace dashf {

inline double Median(std::vector<double> values) {
  DASHF_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2.0;
}

}  // namespace dashf
