// Makespan mode's bound (docs/certificates.md): the quadrant of (longest user phase, longest server
// phase) is split into boxes, each with prices and weights of its own; the box whose bound is
// largest is split next. Internal to the module; numerical, not outward-rounded.
#pragma once

#include <Eigen/Core>
#include <array>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "plan/certificate.h"
#include "solvers/box_prices.h"
#include "solvers/deadline_search.h"

namespace dashf::solvers::internal {

class DeadlineBoxes {
 public:
  // `problem` and `columns` (all rows) must outlive it. Results do not depend on `threads`. When
  // time_limit_s from now are over, searches end with what they have.
  DeadlineBoxes(const ScrProblem& problem,
                const Columns& columns,
                const DeadlineEffort& effort,
                int threads,
                double time_limit_s);

  // The barriers of greatest dual, climbed to from point->phases_s and point->at. A plan must keep
  // the deadlines that it starts from.
  void Climb(DeadlinePoint* point);
  // Per column, its psi at the point; -infinity where it misses a deadline.
  const std::vector<float>& PsiAt(const DeadlinePoint& point);

  // Splits until no box's bound is above target_y, or much above what a point in one of them shows
  // that splitting cannot bring it below, or there are too many boxes. `start` is where the search
  // begins. scr_upper is an estimate of the largest bound; that box comes first.
  Certificate Bound(const DeadlinePoint& start, double target_y);

 private:
  using CornerPtr = std::shared_ptr<const DeadlineCorner>;
  struct Node {
    DeadlineBox box;
    double bound_y = 0.0;
    std::array<CornerPtr, kCorners> corner;
  };
  struct Lower {
    bool operator()(const Node& a, const Node& b) const { return a.bound_y < b.bound_y; }
  };
  double YOf(double value) const { return y_ * (1.0 + value / cost_); }
  double ValueOf(const BoxPrices& candidate, const DeadlineBox& box, PricedUsers* users) const;
  DeadlineBox EverythingBeyond(int phase, const DeadlinePoint& start) const;
  std::vector<const DeadlineCorner*> CornersOf(const Node& node) const;
  void Evaluate(PricedUsers* users, Node* node) const;
  std::vector<Node> Split(const Node& node) const;
  void SearchCorners(std::vector<Node>* nodes);
  std::vector<Node> SplitWorst(std::vector<Node>* nodes);
  Certificate WithoutDeadlines(const DeadlinePoint& start);

  const ScrProblem& problem_;
  const Columns& columns_;
  const int threads_;
  const DeadlineSearch search_;
  Eigen::Vector2d phase_scale_s_;  // A length of the phases; 0 where no row has such a phase.
  std::vector<std::unique_ptr<PricedUsers>> pool_;
  // Of Bound():
  double y_ = 0.0;        // What is to be proven; rises to what prices can prove.
  double cost_ = 1.0;     // About -dvalue / dln y of a box.
  double floor_y_ = 0.0;  // Of the barriers looked at: no box that holds them can prove less.
  DeadlineCorner peak_;   // Where the search began.
  std::map<std::pair<double, double>, CornerPtr> corners_;
};

}  // namespace dashf::solvers::internal
