// The rows (server, split) of one user at a box's prices, as problems with safe coefficients.
#pragma once

#include <span>
#include <vector>

#include "certificate/phase_weight.h"
#include "certificate/row_problem.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

class UserRows {
 public:
  // Everything must outlive it.
  UserRows(const Scenario& scenario, const DeadlineBox& box, double scr_upper, std::size_t user);

  // What the user carries of the barriers, times scr_upper; the sum's own weight in sum mode.
  const PhaseWeights& carried() const { return carried_; }
  int layers() const { return table_.layers(); }

  // psi of split k on the link's server, at most: for any weights >= 0.
  RowProblem Make(const Link& link,
                  const ServerPrices& prices,
                  int k,
                  const PhaseWeights& weights) const;

  // The splits that scenario.SplitAllowed() and `allowed` (per k; null: all) have and that can end
  // within the box on this link, every resource at its limit.
  std::vector<int> SplitsWithin(const Link& link, const std::vector<bool>* allowed) const;

  // About how long the phases of a row, made for (link, k), last at a point; +infinity where no
  // weight ends them.
  PhaseWeights PhasesAt(const RowProblem& row, const Link& link, int k, const Point& at) const;

  // Of the user's phases, where weights are to be sought: how near to the box's ends is `near`.
  WeightSearch UserSearch(double near) const;
  WeightSearch ServerSearch(double near) const;

 private:
  const Scenario& scenario_;
  const DeadlineBox& box_;
  const User& user_;
  const SplitProfile& table_;
  PhaseWeights carried_;
  double weight_min_ = 0.0;  // Where a phase's weight starts from 0.
  double energy_weight_ = 0.0;
};

}  // namespace dashf::certificate
