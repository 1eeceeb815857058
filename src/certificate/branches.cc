#include "certificate/branches.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "certificate/rounding.h"

namespace dashf::certificate {
namespace {

// The ends of a box along one of its two phases.
struct Ends {
  double *min_s, *max_s;
};
Ends EndsOf(DeadlineBox* box, int phase) {
  return phase == 0 ? Ends{&box->user_phase_s_min, &box->user_phase_s_max}
                    : Ends{&box->server_phase_s_min, &box->server_phase_s_max};
}

// What the plans with this answer have in common.
DeadlineBox RangeOf(const DeadlineBox& range, const PhaseAtMost& question, bool yes) {
  DeadlineBox half = range;
  const Ends ends = EndsOf(&half, question.phase);
  *(yes ? ends.max_s : ends.min_s) = question.end_s;
  return half;
}

// The box's ends alone.
DeadlineBox EndsAlone(const DeadlineBox& box) {
  DeadlineBox range;
  range.user_phase_s_min = box.user_phase_s_min;
  range.user_phase_s_max = box.user_phase_s_max;
  range.server_phase_s_min = box.server_phase_s_min;
  range.server_phase_s_max = box.server_phase_s_max;
  return range;
}

class Form {
 public:
  Form(const Scenario& scenario, const std::vector<BranchNode>& nodes, std::string where)
      : scenario_(scenario), nodes_(nodes), where_(std::move(where)) {}

  Expected<void> Check(const DeadlineBox& range) {
    const auto tree = CheckTree(range, 0);
    if (!tree) return tree;
    if (next_ < nodes_.size()) return Bad("comes after the tree's end");
    return {};
  }

 private:
  Expected<void> Bad(std::string rule) const {
    return Fail(ErrorKind::kBadInput, fmt::format("{}[{}]", where_, next_), std::move(rule));
  }

  Expected<void> CheckTree(const DeadlineBox& range, int depth) {
    for (;; ++next_, ++depth) {
      if (next_ == nodes_.size()) return Bad("is missing: the tree ends early");
      if (depth > kBranchDepthMax) {
        return Bad(fmt::format("is more than {} nodes deep", kBranchDepthMax));
      }
      const BranchNode& node = nodes_[next_];
      const auto* bound = std::get_if<BranchBound>(&node);
      const auto checked = bound != nullptr ? CheckBound(*bound)
                           : std::holds_alternative<UserOn>(node)
                               ? CheckUserOn(std::get<UserOn>(node))
                               : CheckPhase(range, std::get<PhaseAtMost>(node));
      if (!checked) return checked;
      if (bound == nullptr) break;
      if (!bound->last) continue;
      ++next_;
      return {};
    }
    const auto* end = std::get_if<PhaseAtMost>(&nodes_[next_]);
    ++next_;
    const auto yes = CheckTree(end != nullptr ? RangeOf(range, *end, true) : range, depth + 1);
    if (!yes) return yes;
    return CheckTree(end != nullptr ? RangeOf(range, *end, false) : range, depth + 1);
  }

  bool HasDeadlines() const { return scenario_.objective.delay == DelayMode::kMakespan; }

  Expected<void> CheckNumbers(const std::vector<double>& numbers) const {
    const std::size_t weights = HasDeadlines() ? scenario_.users.size() : 0;
    if (numbers.size() != weights) {
      return Bad(
          fmt::format("must have {} weights of each phase, not {}", weights, numbers.size()));
    }
    for (const double number : numbers) {
      if (!(number >= 0.0 && std::isfinite(number))) {
        return Bad(fmt::format("weights must be numbers >= 0, got {}", number));
      }
    }
    return {};
  }

  Expected<void> CheckBound(const BranchBound& bound) const {
    if (bound.servers.size() != scenario_.servers.size()) {
      return Bad(fmt::format(
          "must have {} prices, not {}", scenario_.servers.size(), bound.servers.size()));
    }
    for (std::size_t m = 0; m < bound.servers.size(); ++m) {
      const ServerPrices& server = bound.servers[m];
      for (const double price :
           {server.bandwidth_per_hz, server.power_per_w, server.clock_per_hz, server.slot}) {
        if (!(price >= 0.0 && std::isfinite(price))) {
          return Bad(fmt::format("prices must be numbers >= 0, got {}", price));
        }
      }
      if (server.slot != 0.0 && !scenario_.servers[m].slots) {
        return Bad(fmt::format("slot[{}] must be 0: the server has no slot limit", m));
      }
    }
    const auto user = CheckNumbers(bound.user_phase_weight_per_s);
    return user ? CheckNumbers(bound.server_phase_weight_per_s) : user;
  }

  Expected<void> CheckPhase(const DeadlineBox& of, const PhaseAtMost& question) const {
    if (!HasDeadlines()) return Bad("asks of deadlines, which the sum of delays has not");
    if (question.phase != 0 && question.phase != 1) return Bad("asks of a phase there is not");
    DeadlineBox range = of;
    const Ends ends = EndsOf(&range, question.phase);
    if (question.end_s > *ends.min_s && question.end_s < *ends.max_s) return {};
    return Bad(fmt::format(
        "must ask within ({}, {}) s, got {}", *ends.min_s, *ends.max_s, question.end_s));
  }

  Expected<void> CheckUserOn(const UserOn& question) const {
    if (question.user < 0 || question.user >= static_cast<int>(scenario_.users.size())) {
      return Bad(fmt::format("there is no user {}", question.user));
    }
    if (question.server < -1 || question.server >= static_cast<int>(scenario_.servers.size())) {
      return Bad(fmt::format("there is no server {}", question.server));
    }
    const User& user = scenario_.users[static_cast<std::size_t>(question.user)];
    const int layers = scenario_.ProfileOf(user).layers();
    if (question.split_min >= 0 && question.split_min <= question.split_max &&
        question.split_max <= layers) {
      return {};
    }
    return Bad(fmt::format("splits must be 0 <= min <= max <= {}, got {}, {}",
                           layers,
                           question.split_min,
                           question.split_max));
  }

  const Scenario& scenario_;
  const std::vector<BranchNode>& nodes_;
  const std::string where_;
  std::size_t next_ = 0;
};

class Proof {
 public:
  Proof(const Scenario& scenario, const DeadlineBox& box, double scr_upper, const Effort& effort)
      : scenario_(scenario), nodes_(box.branches), scr_upper_(scr_upper), effort_(effort) {}

  BoxBound Run(const DeadlineBox& range) {
    SplitsLeft left;
    for (std::size_t n = 0; n < scenario_.users.size(); ++n) {
      const auto splits =
          static_cast<std::size_t>(scenario_.ProfileOf(scenario_.users[n]).layers()) + 1;
      left.emplace_back(scenario_.links[n].size(), std::vector<bool>(splits, true));
    }
    Tree(range, std::move(left), false);
    return worst_;
  }

 private:
  // `settled`: nothing is left to prove in it; its nodes are passed over.
  void Tree(DeadlineBox range, SplitsLeft left, bool settled) {
    while (const auto* bound = std::get_if<BranchBound>(&nodes_[next_])) {
      ++next_;
      if (!settled) {
        range.servers = bound->servers;
        range.user_phase_weight_per_s = bound->user_phase_weight_per_s;
        range.server_phase_weight_per_s = bound->server_phase_weight_per_s;
        if (bound->last) {
          Note(ProveBox(scenario_, range, scr_upper_, effort_, &left));
        } else {
          settled = Exclude(range, &left);
        }
      }
      if (bound->last) return;
    }
    const BranchNode& question = nodes_[next_++];
    for (const bool yes : {true, false}) {
      if (const auto* end = std::get_if<PhaseAtMost>(&question)) {
        Tree(RangeOf(range, *end, yes), left, settled);
      } else {
        Tree(range, Answered(left, std::get<UserOn>(question), yes), settled);
      }
    }
  }

  SplitsLeft Answered(const SplitsLeft& of, const UserOn& question, bool yes) const {
    SplitsLeft left = of;
    const auto n = static_cast<std::size_t>(question.user);
    for (std::size_t i = 0; i < left[n].size(); ++i) {
      const bool on = question.server < 0 || scenario_.links[n][i].server == question.server;
      for (std::size_t k = 0; k < left[n][i].size(); ++k) {
        const bool within = on && static_cast<int>(k) >= question.split_min &&
                            static_cast<int>(k) <= question.split_max;
        if (within != yes) left[n][i][k] = false;
      }
    }
    return left;
  }

  // Takes out the choices that can be in no plan above scr_upper. True if no plan is left at all.
  bool Exclude(const DeadlineBox& box, SplitsLeft* left) const {
    std::vector<double> psi_upper;
    const BoxBound bound =
        BoundBox(scenario_, box, scr_upper_, effort_, kTolerance, left, &psi_upper);
    if (bound.excess <= 0.0) return true;
    if (!std::isfinite(bound.excess)) return false;
    const double tolerance = kTolerance * scenario_.objective.score_scale;
    for (std::size_t n = 0; n < left->size(); ++n) {
      const double level = Down(psi_upper[n] - bound.excess);
      for (std::size_t i = 0; i < (*left)[n].size(); ++i) {
        const Link& link = scenario_.links[n][i];
        const ServerPrices& prices = box.servers[static_cast<std::size_t>(link.server)];
        std::vector<bool>& splits = (*left)[n][i];
        std::vector<bool> one(splits.size(), false);
        for (std::size_t k = 0; k < splits.size(); ++k) {
          if (!splits[k]) continue;
          one[k] = true;
          const UserBound alone = BoundUserOnServer(
              scenario_, box, scr_upper_, n, link, prices, &one, level, tolerance, effort_);
          one[k] = false;
          splits[k] = alone.psi_upper > level;
        }
      }
    }
    return false;
  }

  // The one whose proof asks for the greatest scr_upper.
  void Note(const BoxBound& bound) {
    const auto lack = [](const BoxBound& of) {
      if (!(of.excess > 0.0)) return of.excess;
      return of.slope < 0.0 ? of.excess / -of.slope : kInfinity;
    };
    if ((lack(bound) > 0.0) == (lack(worst_) > 0.0) ? lack(bound) > lack(worst_)
                                                    : lack(bound) > 0.0) {
      worst_ = bound;
    }
  }

  const Scenario& scenario_;
  const std::vector<BranchNode>& nodes_;
  const double scr_upper_;
  const Effort effort_;
  std::size_t next_ = 0;
  BoxBound worst_{-kInfinity, 0.0, 0};
};

}  // namespace

Expected<void> CheckBranches(const Scenario& scenario,
                             const DeadlineBox& box,
                             const std::string& where) {
  if (box.branches.empty()) return {};
  if (!box.user_worth.empty()) {
    return Fail(ErrorKind::kBadInput, where, "must not stand beside user_worth");
  }
  if (box.branches.size() > kBranchNodesMax) {
    return Fail(
        ErrorKind::kBadInput,
        where,
        fmt::format("must have at most {} nodes, got {}", kBranchNodesMax, box.branches.size()));
  }
  return Form(scenario, box.branches, where).Check(EndsAlone(box));
}

BoxBound BoundBranches(const Scenario& scenario,
                       const DeadlineBox& box,
                       double scr_upper,
                       const Effort& effort) {
  return Proof(scenario, box, scr_upper, effort).Run(EndsAlone(box));
}

}  // namespace dashf::certificate
