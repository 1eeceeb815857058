// The resource step's convex program on one association: the barrier method's state and Newton
// steps of block-arrow form. Internal to the module; one thread at a time.
#pragma once

#include <Eigen/Core>
#include <limits>
#include <vector>

#include "base/termination.h"
#include "opt/block_arrow.h"
#include "solvers/resource_terms.h"

namespace dashf::solvers::internal {

// The terms of every user at its choice, delay priced at EffectiveDelayWeight.
std::vector<UserTerms> MakeTerms(const ScrProblem& problem,
                                 const Association& association,
                                 double y);

// Users of each server that need its bandwidth, power and clock.
std::vector<Eigen::Vector3d> CountNeeds(const ScrProblem& problem,
                                        const std::vector<UserTerms>& terms);

// Shares of an equal split among those who need the resource, 0 for the others.
Eigen::Vector3d EqualShare(const UserTerms& user, const std::vector<Eigen::Vector3d>& needs);

// `problem` and `association` must outlive it.
class BarrierProgram {
 public:
  BarrierProgram(const ScrProblem& problem, const Association& association, double y);

  int count() const { return count_; }

  // An interior start: equal shares, or near the given plan.
  void Start(const Plan* near);
  // Centre() ends early when this time from now is over.
  void StopAfter(double time_limit_s);
  bool IsStopped() const { return watch_.ElapsedS() > time_limit_s_; }
  // Newton's method at one barrier weight, until the decrement is below `decrement_max`; returns
  // the steps taken, or -1 on numerical trouble.
  int Centre(double mu, double decrement_max, int steps_max);
  Plan Extract() const;

 private:
  void StartTimes(const Plan* near);
  double Objective(const std::vector<Point>& x, const Barriers& barriers, double mu);
  void Assemble(double mu);
  double StepToBoundary() const;
  void Sum(const std::vector<Point>& x);

  const ScrProblem& problem_;
  const Association& association_;
  std::vector<UserTerms> terms_;
  std::vector<Eigen::Vector3d> needs_;
  std::vector<Point> x_, trial_;
  std::vector<Eigen::Vector3d> used_;  // Sums of the shares by server.
  Barriers barriers_ = Barriers::Zero();
  bool has_barrier_[2] = {false, false};
  double barrier_cost_ = 0.0;
  int count_ = 0;
  opt::ArrowSystem system_;
  Stopwatch watch_;
  double time_limit_s_ = std::numeric_limits<double>::infinity();
};

}  // namespace dashf::solvers::internal
