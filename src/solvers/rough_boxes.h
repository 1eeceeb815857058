// Makespan mode's bound where one look at all rows takes a second: few deadline boxes, as wide as
// the bound that is wanted lets them be, and few searches for prices. Internal to the module;
// numerical, not outward-rounded.
#pragma once

#include <Eigen/Core>
#include <deque>
#include <vector>

#include "plan/certificate.h"
#include "solvers/box_prices.h"
#include "solvers/deadline_search.h"
#include "solvers/priced_users.h"

namespace dashf::solvers::internal {

class RoughBoxes {
 public:
  // `problem` and `columns` (all rows) must outlive it; delay must cost something. Results do not
  // depend on `threads`. When time_limit_s from now are over no box is looked at closer, which
  // leaves their bound where it is.
  RoughBoxes(const ScrProblem& problem,
             const Columns& columns,
             const DeadlineEffort& effort,
             int threads,
             double time_limit_s);

  // `start`: deadlines that a plan keeps and prices near the best there. scr_upper is an estimate
  // of the largest bound, whose box comes first; not below target_y.
  Certificate Bound(const DeadlinePoint& start, double target_y);

 private:
  struct Open {
    DeadlineBox box;
    double bound_y = 0.0;
  };
  double YOf(double value) const { return y_ * (1.0 + value / cost_); }
  void Search(DeadlinePoint* point);
  const DeadlinePoint& Nearest(const DeadlineBox& box) const;
  double ValueAt(const DeadlinePoint& point, DeadlineBox* box);
  DeadlineBox EverythingBeyond(int phase);
  void Evaluate(Open* open);
  void SearchWithin(Open* open);
  bool Split(const Open& open, std::deque<Open>* into) const;
  double CutOf(const DeadlineBox& box, int phase) const;

  const ScrProblem& problem_;
  const DeadlineSearch search_;
  PricedUsers users_;
  // Of Bound():
  double y_ = 0.0;     // To be proven; rises to what the prices at one pair of deadlines can prove.
  double cost_ = 1.0;  // About -dvalue / dln y.
  double target_y_ = 0.0;
  std::vector<DeadlinePoint> known_;  // The first is at the plan's own deadlines.
};

}  // namespace dashf::solvers::internal
