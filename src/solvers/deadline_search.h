// Makespan mode: the prices of least upper bound of all plans that keep given barriers, and the
// barriers where that bound is greatest. Internal to the module; numerical, not outward-rounded.
#pragma once

#include <Eigen/Core>
#include <array>
#include <limits>
#include <vector>

#include "base/termination.h"
#include "plan/certificate.h"
#include "solvers/priced_users.h"

namespace dashf::solvers::internal {

// Barriers T = (T_u, T_s) and the prices of least upper bound of all plans that keep them.
struct DeadlinePoint {
  Eigen::Vector2d phases_s = Eigen::Vector2d::Zero();
  DualPoint at;  // y: where the dual at these barriers is about 0.
  // Per user, what meeting the deadlines is worth: multipliers that sum to about w_t where T is
  // best.
  std::array<std::vector<double>, 2> weight_per_s;  // Of the user and of the server phase.
};

double SumOf(const std::vector<double>& numbers);

// How closely the best prices at given deadlines are sought, in the mean score of a user.
struct DeadlineEffort {
  double smoothing_first = 0.02, smoothing_last = 1e-4;
  double window = std::numeric_limits<double>::infinity();  // Of the rows, at first.
  double far_below = 0.05;  // Of the cost, below 0: deadlines that are out of the question.
};

class DeadlineSearch {
 public:
  // `problem` must outlive it. When time_limit_s from now are over, searches end with what they
  // have.
  DeadlineSearch(const ScrProblem& problem, const DeadlineEffort& effort, double time_limit_s)
      : problem_(problem), effort_(effort), time_limit_s_(time_limit_s) {}

  double TimeLeftS() const { return time_limit_s_ - watch_.ElapsedS(); }
  // The box that holds the point's barriers alone.
  DeadlineBox BoxOf(const DeadlinePoint& point) const;
  // The barriers of greatest dual, climbed to from point->phases_s and point->at. A plan must keep
  // the deadlines that it starts from.
  void Climb(PricedUsers* users, DeadlinePoint* point) const;
  // The best prices and weights for the point's barriers at this y, from the prices it has. Returns
  // the dual there; -infinity if some user cannot keep the barriers.
  double SearchPrices(double y, PricedUsers* users, DeadlinePoint* point) const;

 private:
  bool SearchPoint(double smoothing,
                   double y_min,
                   double far_below,
                   PricedUsers* users,
                   DeadlinePoint* point) const;
  void Uphill(
      double y_min, int steps_max, int phase, PricedUsers* users, DeadlinePoint* point) const;
  double Slope(const DeadlinePoint& point, int phase) const;

  const ScrProblem& problem_;
  const DeadlineEffort effort_;
  const Stopwatch watch_;
  const double time_limit_s_;
};

}  // namespace dashf::solvers::internal
