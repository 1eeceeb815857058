#include "solvers/branch_and_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "base/parallel.h"
#include "solvers/price_search.h"
#include "solvers/resource_step.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kBatch = 4;  // Nodes branched on side by side, whatever the threads.
// Of the cost: room for the proof's rounding and for replies that stop short of their best.
constexpr double kRoom = 1e-7;
// Of the score's scale: a choice that the proof does not leave out where it is out here may be far
// above all others at the prices of what is below.
constexpr double kClearly = 1e-5;

}  // namespace

bool MayBranch(const ScrProblem& problem, const Columns& all_rows) {
  constexpr std::size_t kUsersMax = 24, kRowsMax = 2500;
  return problem.tx_power_w_max.size() <= kUsersMax && all_rows.size() <= kRowsMax;
}

std::optional<Plan> PlanAbove(const ScrProblem& problem,
                              const Association& association,
                              double scr) {
  constexpr double kCoarse = 1e-3;  // Of score + y cost.
  if (!IsAdmissible(problem, association)) return std::nullopt;
  const ResourceResult found =
      AllocateResources(problem, association, scr, nullptr, {.tolerance = kCoarse});
  const double slack = 2.0 * kCoarse * (found.score + scr * found.cost);
  if (found.score - scr * found.cost + slack <= 0.0) return std::nullopt;
  RatioResult best = MaximizeScrForAssociation(problem, association);
  if (!(best.scr > scr)) return std::nullopt;
  return std::move(best.plan);
}

BranchAndBound::BranchAndBound(const ScrProblem& problem,
                               const Columns& columns,
                               const BranchAndBoundOptions& options)
    : problem_(problem),
      columns_(columns),
      options_(options),
      earliest_s_(Eigen::Vector2d::Zero()) {
  for (std::size_t n = 0; n + 1 < columns.begin.size(); ++n) {
    Eigen::Vector2d least = Eigen::Vector2d::Constant(kInfinity);
    for (int i = columns.begin[n]; i < columns.begin[n + 1]; ++i) {
      const auto c = static_cast<std::size_t>(i);
      least_s_.push_back(LeastPhases(problem,
                                     n,
                                     static_cast<std::size_t>(columns.link[c]),
                                     static_cast<std::size_t>(columns.split[c])));
      least = least.cwiseMin(least_s_.back());
    }
    earliest_s_ = earliest_s_.cwiseMax(least);
  }
}

BranchBound BranchAndBound::BoundOf(const Node& node, bool last) const {
  DeadlineBox box = node.box;
  Give(problem_, node.at, &box);
  return {box.servers, box.user_phase_weight_per_s, box.server_phase_weight_per_s, last};
}

// Leaves the rows that can end within the box; false if a user has none, and so no plan is in it.
bool BranchAndBound::LeaveMeeting(Node* node) const {
  constexpr double kSlack = 1.0 + 1e-8;  // What the verifier allows, and more.
  bool all = true;
  for (std::vector<int>& rows : node->rows) {
    std::erase_if(rows, [&](int column) {
      const Eigen::Vector2d& least = least_s_[static_cast<std::size_t>(column)];
      return least[0] > kSlack * node->box.user_phase_s_max ||
             least[1] > kSlack * node->box.server_phase_s_max;
    });
    all = all && !rows.empty();
  }
  return all;
}

// Takes out the choices that would cost more than all of the bound that is above y.
bool BranchAndBound::Exclude(const BoxDual& dual, Node* node) const {
  bool any = false;
  for (std::vector<int>& rows : node->rows) {
    double best = -kInfinity;
    for (const int column : rows) best = std::max(best, dual.psi(column));
    const auto out = std::erase_if(rows, [&](int column) {
      return dual.psi(column) < best - node->value - kClearly * problem_.score_scale;
    });
    any = any || out > 0;
  }
  return any;
}

void BranchAndBound::Evaluate(BoxDual* dual, Node* node) const {
  constexpr int kRoundsMax = 3;
  node->bounds.clear();
  node->questions.clear();
  node->rounded.clear();
  if (!LeaveMeeting(node)) {
    node->value = -kInfinity;
    node->bound_y = 0.0;
    node->bounds.push_back(BoundOf(*node, true));
    return;
  }
  for (int round = 0; round < kRoundsMax; ++round) {
    const BoxBound bound = dual->Minimise(y_, node->box, node->rows, 0.0, {}, &node->at);
    node->value = bound.value + kRoom * bound.cost;
    node->bound_y = y_ * (1.0 + std::max(node->value, -0.5 * bound.cost) / bound.cost);
    if (node->value <= 0.0 || !Exclude(*dual, node)) break;
    node->bounds.push_back(BoundOf(*node, false));
  }
  if (node->value <= 0.0) {
    node->bounds.push_back(BoundOf(*node, true));
    return;
  }
  AskOf(*dual, node);
}

// Narrow ends are cut in the middle, far ones in proportion.
double BranchAndBound::CutOf(const DeadlineBox& of, int phase) const {
  DeadlineBox box = of;
  const PhaseRange range = RangeOf(&box, phase);
  const double low = std::max(*range.min_s, (1.0 - 1e-6) * earliest_s_[phase]);
  if (!(low > 0.0)) return 0.3 * *range.max_s;
  return std::sqrt(low * *range.max_s);
}

// What to ask next: of the deadlines the longer side, and of the users the one whose choice is the
// most divided, by servers or by splits.
void BranchAndBound::AskOf(const BoxDual& dual, Node* node) const {
  constexpr double kThin = 1e-6, kDivided = 1e-3;
  constexpr int kDepthMax = kBranchDepthMax / 4 - 1;  // A question and at most three bounds each.
  int phase = 0;
  double longest = 0.0;
  for (int i = 0; i < (HasDeadlines(problem_) ? 2 : 0); ++i) {
    DeadlineBox box = node->box;
    const double cut = CutOf(box, i);
    const double length = std::log(*RangeOf(&box, i).max_s / cut);
    if (length <= longest) continue;
    longest = length;
    phase = i;
  }
  const bool may_ask = node->depth < kDepthMax;
  if (may_ask && longest > kThin)
    node->questions.emplace_back(PhaseAtMost{phase, CutOf(node->box, phase)});
  double most = kDivided;
  UserOn asked;
  for (std::size_t n = 0; n < node->rows.size(); ++n) {
    const auto look = [&](const UserOn& question) {
      double yes = 0.0;
      for (const int column : node->rows[n]) {
        const Choice choice = columns_.ChoiceOf(problem_, static_cast<std::size_t>(column));
        const bool on = question.server < 0 || choice.server == question.server;
        if (on && choice.local_layers <= question.split_max) yes += dual.share(column);
      }
      if (yes * (1.0 - yes) <= most) return;
      most = yes * (1.0 - yes);
      asked = question;
    };
    int top = node->rows[n].front();
    for (const int column : node->rows[n]) {
      const Choice choice = columns_.ChoiceOf(problem_, static_cast<std::size_t>(column));
      look({static_cast<int>(n), choice.server, 0, problem_.layers[n]});
      look({static_cast<int>(n), -1, 0, choice.local_layers});
      if (dual.share(column) > dual.share(top)) top = column;
    }
    node->rounded.push_back(columns_.ChoiceOf(problem_, static_cast<std::size_t>(top)));
  }
  if (may_ask && most > kDivided) node->questions.emplace_back(asked);
}

BranchAndBound::Node BranchAndBound::Child(const Node& node,
                                           const BranchNode& question,
                                           bool yes) const {
  Node child;
  child.depth = node.depth + 1;
  child.box = node.box;
  child.rows = node.rows;
  child.at = node.at;
  if (const auto* end = std::get_if<PhaseAtMost>(&question)) {
    const PhaseRange range = RangeOf(&child.box, end->phase);
    *(yes ? range.max_s : range.min_s) = end->end_s;
  } else if (const auto* on = std::get_if<UserOn>(&question)) {
    std::erase_if(child.rows[static_cast<std::size_t>(on->user)], [&](int column) {
      const Choice choice = columns_.ChoiceOf(problem_, static_cast<std::size_t>(column));
      const bool is = (on->server < 0 || choice.server == on->server) &&
                      choice.local_layers >= on->split_min && choice.local_layers <= on->split_max;
      return is != yes;
    });
  }
  return child;
}

// The question whose answers bring the bound down most.
BranchAndBound::Branching BranchAndBound::Branch(BoxDual* dual, const Node& node) const {
  constexpr double kLeast = 1e-3;  // Of the node's own value.
  Branching best;
  best.merit = -1.0;
  for (const BranchNode& question : node.questions) {
    Branching trial{question, Child(node, question, true), Child(node, question, false)};
    trial.merit = 1.0;
    for (Node* child : {&trial.yes, &trial.no}) {
      Evaluate(dual, child);
      const double gain = 1.0 - std::max(0.0, child->value) / node.value;
      trial.merit *= std::max(kLeast, gain);
    }
    if (trial.merit > best.merit) best = std::move(trial);
  }
  return best;
}

void BranchAndBound::Adopt(int parent, Branching branching, std::vector<Node>* open) {
  tree_[static_cast<std::size_t>(parent)].question = branching.question;
  for (Node* child : {&branching.yes, &branching.no}) {
    child->id = static_cast<int>(tree_.size());
    tree_.emplace_back();
    tree_.back().bounds = child->bounds;
    Split& above = tree_[static_cast<std::size_t>(parent)];
    (child == &branching.yes ? above.yes : above.no) = child->id;
    if (child->value > 0.0) open->push_back(std::move(*child));
  }
}

void BranchAndBound::Write(int id, std::vector<BranchNode>* nodes) const {
  const Split& split = tree_[static_cast<std::size_t>(id)];
  for (const BranchBound& bound : split.bounds) nodes->emplace_back(bound);
  if (split.yes < 0) return;
  nodes->push_back(split.question);
  Write(split.yes, nodes);
  Write(split.no, nodes);
}

// With the sum of delays one box; else the quadrant of deadlines: what ends by the last barrier
// that may pay, and beyond it, where a barrier alone costs more than plans earn, one box per phase.
Certificate BranchAndBound::Frame() const {
  Certificate certificate{.scr_upper = y_, .boxes = std::vector<DeadlineBox>(1)};
  if (!HasDeadlines(problem_)) return certificate;
  const double last_s = LastBarrierS(problem_, y_);
  DeadlineBox& whole = certificate.boxes.front();
  whole.user_phase_s_max = whole.server_phase_s_max = last_s;
  for (int i = 0; i < 2; ++i) {
    DeadlineBox beyond;
    *RangeOf(&beyond, i).min_s = last_s;
    GiveNothing(problem_, &beyond);
    certificate.boxes.push_back(std::move(beyond));
  }
  return certificate;
}

BranchAndBound::Node BranchAndBound::Root(const DeadlineBox& box) const {
  Node root;
  root.box = box;
  for (std::size_t n = 0; n + 1 < columns_.begin.size(); ++n) {
    root.rows.emplace_back();
    for (int c = columns_.begin[n]; c < columns_.begin[n + 1]; ++c) root.rows[n].push_back(c);
  }
  root.at.price = FirstPrices(problem_, columns_, y_).price;
  if (HasDeadlines(problem_)) {
    const auto users = static_cast<std::size_t>(problem_.users());
    const std::vector<double> even(users, problem_.delay_weight_per_s / problem_.users());
    root.at.weight_per_s = {even, even};
  }
  return root;
}

// The open nodes of largest bound.
std::vector<BranchAndBound::Node> BranchAndBound::TakeBatch(std::vector<Node>* open) {
  std::vector<Node> batch;
  while (!open->empty() && batch.size() < kBatch) {
    std::pop_heap(open->begin(), open->end(), Lower{});
    batch.push_back(std::move(open->back()));
    open->pop_back();
  }
  return batch;
}

// A plan found since may have overtaken the node. Its bound_y does not say so: D is convex in y,
// and falls more slowly from where it was found on.
bool BranchAndBound::Overtaken(BoxDual* dual, Node* node) const {
  if (node->bound_y > y_) return false;
  const BoxBound bound = dual->Minimise(y_, node->box, node->rows, 0.0, {}, &node->at);
  return bound.value + kRoom * bound.cost <= 0.0;
}

Certificate BranchAndBound::Bound(double scr, const std::function<double(double)>& target_of) {
  y_ = target_of(scr);
  tree_.assign(1, {});
  seen_.clear();
  std::vector<std::unique_ptr<BoxDual>> duals;
  for (std::size_t i = 0; i < kBatch; ++i) {
    duals.push_back(std::make_unique<BoxDual>(problem_, columns_));
  }
  Certificate certificate = Frame();
  DeadlineBox& whole = certificate.boxes.front();
  Node root = Root(whole);
  Evaluate(duals.front().get(), &root);
  tree_[0].bounds = root.bounds;
  Give(problem_, root.at, &whole);
  std::vector<Node> open;
  if (root.value > 0.0) open.push_back(std::move(root));
  const auto offer = [&](const Node& node) {
    std::vector<int> key;
    for (const Choice& choice : node.rounded) {
      key.push_back(choice.server);
      key.push_back(choice.local_layers);
    }
    if (key.empty() || !seen_.insert(std::move(key)).second) return;
    scr = std::max(scr, options_.on_association(node.rounded));
    y_ = std::max(y_, target_of(scr));
  };
  std::vector<Node> stuck;
  while (!open.empty() && tree_.size() < options_.nodes_max && !options_.out_of_time()) {
    std::vector<Node> batch = TakeBatch(&open);
    std::vector<Branching> found(batch.size());
    std::vector<char> closed(batch.size());
    ParallelFor(batch.size(), options_.threads, [&](std::size_t i) {
      closed[i] = Overtaken(duals[i].get(), &batch[i]);
      if (closed[i] || batch[i].questions.empty()) return;
      found[i] = Branch(duals[i].get(), batch[i]);
    });
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (closed[i]) {
        tree_[static_cast<std::size_t>(batch[i].id)].bounds.push_back(BoundOf(batch[i], true));
        continue;
      }
      if (batch[i].questions.empty()) {
        stuck.push_back(std::move(batch[i]));
        continue;
      }
      std::vector<Node> children;
      Adopt(batch[i].id, std::move(found[i]), &children);
      for (Node& child : children) {
        offer(child);
        open.push_back(std::move(child));
        std::push_heap(open.begin(), open.end(), Lower{});
      }
    }
  }
  open.insert(open.end(), stuck.begin(), stuck.end());
  certificate.scr_upper = y_;
  for (const Node& node : open) {
    tree_[static_cast<std::size_t>(node.id)].bounds.push_back(BoundOf(node, true));
    certificate.scr_upper = std::max(certificate.scr_upper, node.bound_y);
  }
  Write(0, &whole.branches);
  return certificate;
}

}  // namespace dashf::solvers::internal
