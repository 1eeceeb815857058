#include "train/loss_watch.h"

#include <algorithm>

namespace dashf::train {
namespace {

constexpr double kKept = 0.9;  // Per step.
constexpr double kBestMin = 1.0;

}  // namespace

void LossWatch::Add(double loss) {
  sum_ = kKept * sum_ + (1.0 - kKept) * loss;
  weight_ = kKept * weight_ + (1.0 - kKept);
  smoothed_ = sum_ / weight_;
  best_ = std::min(best_, smoothed_);
}

bool LossWatch::Exploded() const {
  return smoothed_ > explosion_factor_ * std::max(best_, kBestMin);
}

}  // namespace dashf::train
