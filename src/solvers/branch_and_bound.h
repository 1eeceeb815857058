// The bound of small scenarios: branch and bound over servers and splits, and with the makespan
// over deadlines too (docs/planner.md). Every node has prices (and phase weights) of its own
// (box_dual.h); choices that they exclude are out below it. Internal to the module; numerical, not
// outward-rounded.
#pragma once

#include <functional>
#include <optional>
#include <queue>
#include <set>
#include <vector>

#include "plan/certificate.h"
#include "solvers/box_dual.h"

namespace dashf::solvers::internal {

// Every node has a dense system of 4 prices per server (and 2 weights per user), and a look at all
// its rows.
bool MayBranch(const ScrProblem& problem, const Columns& all_rows);

// The plan of an association that a bound leads to, if its SCR is above `scr`.
std::optional<Plan> PlanAbove(const ScrProblem& problem,
                              const Association& association,
                              double scr);

struct BranchAndBoundOptions {
  int threads = 1;  // Results do not depend on it.
  std::size_t nodes_max = kBranchNodesMax / 4;
  std::function<bool()> out_of_time;
  // Told of associations that the bounds lead to, each once; returns the SCR now to be beaten.
  std::function<double(const Association&)> on_association;
};

class BranchAndBound {
 public:
  // `problem` (with the makespan of a delay weight above 0), `columns` (all rows: what a mixture of
  // two others dominates may be the best that an answer leaves) and `options` must outlive it.
  BranchAndBound(const ScrProblem& problem,
                 const Columns& columns,
                 const BranchAndBoundOptions& options);

  // Proves, where time and nodes suffice, that no plan is above a ratio y: target_of(SCR to be
  // beaten). Returns a certificate of what the nodes' prices prove, about: scr_upper is y or, above
  // it, the largest bound of a node that is still open.
  Certificate Bound(double scr, const std::function<double(double)>& target_of);

  std::size_t nodes() const { return tree_.size(); }

 private:
  struct Split {  // A node of the tree as it grows.
    std::vector<BranchBound> bounds;
    BranchNode question;  // Where yes >= 0.
    int yes = -1, no = -1;
  };
  struct Node {  // An open one's own.
    int id = 0, depth = 0;
    DeadlineBox box;
    RowsOfUsers rows;
    BoxPrices at;
    double value = 0.0, bound_y = 0.0;
    std::vector<BranchNode> questions;
    std::vector<BranchBound> bounds;
    Association rounded;
  };
  struct Branching {
    BranchNode question;
    Node yes, no;
    double merit = 0.0;
  };
  struct Lower {
    bool operator()(const Node& a, const Node& b) const { return a.bound_y < b.bound_y; }
  };

  Certificate Frame() const;
  Node Root(const DeadlineBox& box) const;
  static std::vector<Node> TakeBatch(std::vector<Node>* open);
  bool Overtaken(BoxDual* dual, Node* node) const;
  BranchBound BoundOf(const Node& node, bool last) const;
  bool LeaveMeeting(Node* node) const;
  void Evaluate(BoxDual* dual, Node* node) const;
  bool Exclude(const BoxDual& dual, Node* node) const;
  void AskOf(const BoxDual& dual, Node* node) const;
  double CutOf(const DeadlineBox& box, int phase) const;
  Node Child(const Node& node, const BranchNode& question, bool yes) const;
  Branching Branch(BoxDual* dual, const Node& node) const;
  void Adopt(int parent, Branching branching, std::vector<Node>* open);
  void Write(int id, std::vector<BranchNode>* nodes) const;

  const ScrProblem& problem_;
  const Columns& columns_;
  const BranchAndBoundOptions& options_;
  std::vector<Eigen::Vector2d> least_s_;  // Per column: how long its phases last at least.
  Eigen::Vector2d earliest_s_;            // Before which some user's phase cannot end.
  double y_ = 0.0;
  std::vector<Split> tree_;
  std::set<std::vector<int>> seen_;
};

}  // namespace dashf::solvers::internal
