// What a row pays per second of its phases within a deadline box (docs/certificates.md, "The
// statement").
#pragma once

#include <algorithm>
#include <cmath>

#include "certificate/rounding.h"

namespace dashf::certificate {

// Times scr_upper. Any numbers >= 0 give a bound: what they leave of the user's charge goes into
// the row's fixed cost.
struct PhaseWeights {
  double user = 0.0;
  double server = 0.0;
};

// A lower bound of carried max(min, T) - weight T over 0 <= T <= max.
inline double RestOfCharge(double carried, double weight, double min, double max) {
  const double left = Down(carried - weight);
  return weight <= carried ? Down(left * min) : Down(left * max);
}

// Looks for the weight at which a phase ends at the end of the box that it strives beyond. T falls
// with the weight, as a power of about -1/2 to -1/3 of it where no limit binds and hardly at all
// where the resources of the user's own are at theirs.
class WeightSearch {
 public:
  // `near`: how close to the end, relative, is near enough.
  WeightSearch(double carried, double weight_min, double min, double max, double near)
      : carried_(carried), weight_min_(weight_min), min_(min), max_(max), near_(near) {}

  // The next weight to try where a phase of `time_s` pays `weight`; unchanged where nothing is to
  // be gained.
  double Next(double weight, double time_s) {
    constexpr double kPower = 2.5, kFarthest = 1e3, kStretch = 4.0;
    const bool above = weight > carried_ || (weight == carried_ && time_s > max_);
    const double end = above ? max_ : min_;
    if (!above && weight == carried_ && !(time_s < min_)) return weight;
    if (!(end > 0.0) || !std::isfinite(end) || !(time_s > 0.0)) return weight;
    const double ratio = std::clamp(time_s / end, 1.0 / kFarthest, kFarthest);
    if (std::abs(ratio - 1.0) <= near_) return weight;
    const double from = std::max(weight, weight_min_);
    (ratio > 1.0 ? low_ : high_) = from;  // The weight is too low, or too high.
    double next = from * std::pow(ratio, kPower);
    if (low_ > 0.0 && high_ > low_) {
      if (next <= low_ || next >= high_ || ++inside_ % 2 == 0) next = std::sqrt(low_ * high_);
    } else {  // Whatever the power is, it will be bracketed soon.
      next = ratio > 1.0 ? std::max(next, from * stretch_) : std::min(next, from / stretch_);
      stretch_ *= kStretch;
    }
    // The charge has a kink at the weight that the user carries.
    return (next < carried_) == above ? carried_ : next;
  }

 private:
  const double carried_, weight_min_, min_, max_, near_;
  double low_ = 0.0, high_ = 0.0, stretch_ = 1.0;
  int inside_ = 0;
};

}  // namespace dashf::certificate
