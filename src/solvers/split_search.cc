#include "solvers/split_search.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "solvers/tentative_resources.h"

namespace dashf::solvers {
namespace {

// The two largest of a list, so that the maximum over the others is known for each member.
struct TopTwo {
  double first = 0.0, second = 0.0;
  std::size_t holder = 0;

  explicit TopTwo(const std::vector<double>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] > first) {
        second = first;
        first = values[i];
        holder = i;
      } else {
        second = std::max(second, values[i]);
      }
    }
  }
  double Without(std::size_t i) const { return i == holder ? second : first; }
};

// What a change of one user's split does to the barriers.
class Barriers {
 public:
  Barriers(const ScrProblem& problem, const Plan& plan) : problem_(problem) {
    queue_s_.assign(problem.server_clock_hz_max.size(), 0.0);
    for (std::size_t n = 0; n < plan.size(); ++n) {
      user_phase_s_.push_back(TotalsOf(problem, static_cast<int>(n), plan[n]).user_phase_s);
      queue_s_[plan[n].server] += QueueS(static_cast<int>(n), plan[n]);
    }
  }

  double UserPhaseOfOthers(int user) const { return TopTwo(user_phase_s_).Without(user); }

  // T_u + T_s if the user changed from `now` to `next`.
  double DelayIf(int user, const Decision& now, const Decision& next, double others_s) const {
    const double user_s = TotalsOf(problem_, user, next).user_phase_s;
    double server_s = 0.0;
    for (std::size_t m = 0; m < queue_s_.size(); ++m) {
      double queue_s = queue_s_[m];
      if (static_cast<int>(m) == now.server) queue_s += QueueS(user, next) - QueueS(user, now);
      server_s = std::max(server_s, queue_s);
    }
    return std::max(others_s, user_s) + server_s;
  }

  void Change(int user, const Decision& now, const Decision& next) {
    user_phase_s_[user] = TotalsOf(problem_, user, next).user_phase_s;
    queue_s_[now.server] += QueueS(user, next) - QueueS(user, now);
  }

 private:
  // The user's work at the server's full clock: with clocks shared by work, a server's users all
  // end when this sum does.
  double QueueS(int user, const Decision& decision) const {
    const int split = problem_.FindSplit(user, decision.local_layers);
    const auto m = static_cast<std::size_t>(decision.server);
    return problem_.split_server_flop[split] / problem_.server_flop_per_cycle[m] /
           problem_.server_clock_hz_max[m];
  }

  const ScrProblem& problem_;
  std::vector<double> user_phase_s_;
  std::vector<double> queue_s_;  // Per server.
};

// One pass over the users.
Association Sweep(const ScrProblem& problem, double y, Plan plan) {
  const bool makespan = problem.delay == DelayMode::kMakespan;
  const double w_t = problem.delay_weight_per_s, w_e = problem.energy_weight_per_j;
  std::vector<int> load(problem.server_slots.size(), 0);
  for (const Decision& decision : plan) ++load[decision.server];
  Barriers barriers(problem, plan);
  for (int n = 0; n < problem.users(); ++n) {
    const Decision now = plan[n];
    const double others_s = makespan ? barriers.UserPhaseOfOthers(n) : 0.0;
    const double fallback = 1.0 / load[now.server];
    double best = 0.0;
    for (int split = problem.split_begin[n]; split < problem.split_begin[n + 1]; ++split) {
      const int k = problem.split_layers[split];
      const Decision next =
          k == now.local_layers ? now : WithSplit(problem, n, now, k, fallback, others_s);
      const UserTotals totals = TotalsOf(problem, n, next);
      const double delay_s = makespan ? barriers.DelayIf(n, now, next, others_s)
                                      : totals.user_phase_s + totals.server_phase_s;
      const double gain = totals.score - y * (w_t * delay_s + w_e * totals.energy_j);
      if (split == problem.split_begin[n] || gain > best) {
        best = gain;
        plan[n] = next;
      }
    }
    if (makespan) barriers.Change(n, now, plan[n]);
  }
  return AssociationOf(plan);
}

}  // namespace

SplitSearchResult ChooseSplits(const ScrProblem& problem,
                               double y,
                               const Association& start,
                               const std::function<bool()>& out_of_time) {
  constexpr int kSweepsMax = 8;
  const auto evaluate = [&](const Association& association) {
    SplitSearchResult result{.plan = QuickShares(problem, y, association)};
    const PlanTotals totals = TotalsOf(problem, result.plan);
    result.gain = totals.score - y * totals.cost;
    return result;
  };
  SplitSearchResult best = evaluate(start);
  for (int i = 0; i < kSweepsMax && !out_of_time(); ++i) {
    const Association next = Sweep(problem, y, best.plan);
    if (next == AssociationOf(best.plan)) break;
    SplitSearchResult found = evaluate(next);
    if (!(found.gain > best.gain)) break;
    best = std::move(found);
  }
  return best;
}

}  // namespace dashf::solvers
