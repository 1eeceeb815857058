// Whether a training still gets better: its losses, smoothed. Plain; internal to this module.
#pragma once

#include <limits>

namespace dashf::train {

// Exponential mean over about ten steps, corrected for its start as Adam's means are.
class LossWatch {
 public:
  explicit LossWatch(double explosion_factor) : explosion_factor_(explosion_factor) {}
  void Add(double loss);                               // Finite.
  bool at_best() const { return smoothed_ == best_; }  // After Add: no earlier value was lower.
  // The smoothed loss is above `explosion_factor` times the larger of its best and 1 nat: what is
  // nearly learnt by heart may double from one batch to the next and mean nothing.
  bool Exploded() const;
  double smoothed() const { return smoothed_; }
  double best() const { return best_; }

 private:
  double explosion_factor_;
  double sum_ = 0.0, weight_ = 0.0;
  double smoothed_ = 0.0;
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace dashf::train
