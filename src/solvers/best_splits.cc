#include "solvers/best_splits.h"

#include <algorithm>
#include <cmath>

#include "solvers/resource_step.h"

namespace dashf::solvers {
namespace {

// One phase's delays: their sum, and the largest of all but one in O(log users) by a tournament.
class Phase {
 public:
  explicit Phase(std::size_t users) {
    while (leaves_ < users) leaves_ *= 2;
    largest_.assign(2 * leaves_, 0.0);
  }
  void Set(std::size_t n, double delay_s) {
    std::size_t at = leaves_ + n;
    largest_[at] = delay_s;
    for (at /= 2; at > 0; at /= 2) largest_[at] = std::max(largest_[2 * at], largest_[2 * at + 1]);
  }
  double LargestOfOthers(std::size_t n) const {
    double largest = 0.0;
    for (std::size_t at = leaves_ + n; at > 1; at /= 2) {
      largest = std::max(largest, largest_[at ^ 1]);
    }
    return largest;
  }

 private:
  std::size_t leaves_ = 1;
  std::vector<double> largest_;  // A binary heap's layout; the root is 1.
};

// Score and cost of a set of users with one of them exchanged.
class Tally {
 public:
  Tally(const ScrProblem& problem, const std::vector<UserTotals>& users)
      : problem_(problem), user_phase_(users.size()), server_phase_(users.size()) {
    for (std::size_t n = 0; n < users.size(); ++n) {
      sums_.score += users[n].score;
      sums_.energy_j += users[n].energy_j;
      sums_.user_phase_s += users[n].user_phase_s;
      sums_.server_phase_s += users[n].server_phase_s;
      SetPhases(n, users[n]);
    }
  }

  // What all but one user bring: in makespan mode the phases are the largest of theirs.
  UserTotals Without(std::size_t n, const UserTotals& leaving) const {
    UserTotals others = sums_;
    others.score -= leaving.score;
    others.energy_j -= leaving.energy_j;
    if (IsMakespan()) {
      others.user_phase_s = user_phase_.LargestOfOthers(n);
      others.server_phase_s = server_phase_.LargestOfOthers(n);
    } else {
      others.user_phase_s -= leaving.user_phase_s;
      others.server_phase_s -= leaving.server_phase_s;
    }
    return others;
  }

  double ScrWith(const UserTotals& others, const UserTotals& joining) const {
    const double delay_s = IsMakespan()
                               ? std::max(others.user_phase_s, joining.user_phase_s) +
                                     std::max(others.server_phase_s, joining.server_phase_s)
                               : others.user_phase_s + joining.user_phase_s +
                                     others.server_phase_s + joining.server_phase_s;
    const double cost = problem_.delay_weight_per_s * delay_s +
                        problem_.energy_weight_per_j * (others.energy_j + joining.energy_j);
    return cost > 0.0 ? (others.score + joining.score) / cost : 0.0;
  }

  void Exchange(std::size_t n, const UserTotals& leaving, const UserTotals& joining) {
    sums_.score += joining.score - leaving.score;
    sums_.energy_j += joining.energy_j - leaving.energy_j;
    sums_.user_phase_s += joining.user_phase_s - leaving.user_phase_s;
    sums_.server_phase_s += joining.server_phase_s - leaving.server_phase_s;
    SetPhases(n, joining);
  }

 private:
  bool IsMakespan() const { return problem_.delay == DelayMode::kMakespan; }
  void SetPhases(std::size_t n, const UserTotals& user) {
    if (!IsMakespan()) return;
    user_phase_.Set(n, user.user_phase_s);
    server_phase_.Set(n, user.server_phase_s);
  }

  const ScrProblem& problem_;
  UserTotals sums_;
  Phase user_phase_, server_phase_;
};

}  // namespace

Association BestSplits(const ScrProblem& problem, const std::vector<int>& server_of_user) {
  constexpr int kSweepsMax = 20;
  const std::size_t users = server_of_user.size();
  std::vector<int> load(problem.server_slots.size(), 0);
  for (const int m : server_of_user) ++load[static_cast<std::size_t>(m)];
  std::vector<UserTotals> table(problem.split_layers.size());  // By split index.
  for (std::size_t n = 0; n < users; ++n) {
    for (int i = problem.split_begin[n]; i < problem.split_begin[n + 1]; ++i) {
      const auto row = static_cast<std::size_t>(i);
      const int user = static_cast<int>(n);
      table[row] = TotalsOf(problem,
                            user,
                            EqualShareDecision(problem,
                                               user,
                                               {server_of_user[n], problem.split_layers[row]},
                                               load[static_cast<std::size_t>(server_of_user[n])]));
    }
  }
  Association best(users);
  double best_scr = -1.0;
  for (const double depth : {0.0, 0.5, 1.0}) {
    std::vector<std::size_t> chosen(users);
    std::vector<UserTotals> totals(users);
    for (std::size_t n = 0; n < users; ++n) {
      // The allowed k nearest to the start's depth, all-local only where nothing else is allowed.
      const double wanted = std::min(depth * problem.layers[n], problem.layers[n] - 1.0);
      const auto nearer = [&](int a, int b) { return std::abs(a - wanted) < std::abs(b - wanted); };
      const auto first = problem.split_layers.begin() + problem.split_begin[n];
      const auto last = problem.split_layers.begin() + problem.split_begin[n + 1];
      chosen[n] = static_cast<std::size_t>(std::min_element(first, last, nearer) -
                                           problem.split_layers.begin());
      totals[n] = table[chosen[n]];
    }
    double scr = -1.0;
    bool improved = true;
    for (int sweep = 0; improved && sweep < kSweepsMax; ++sweep) {
      improved = false;
      Tally tally(problem, totals);
      for (std::size_t n = 0; n < users; ++n) {
        const UserTotals others = tally.Without(n, totals[n]);
        scr = tally.ScrWith(others, totals[n]);
        const std::size_t before = chosen[n];
        for (int i = problem.split_begin[n]; i < problem.split_begin[n + 1]; ++i) {
          const auto row = static_cast<std::size_t>(i);
          const double candidate = tally.ScrWith(others, table[row]);
          if (!(candidate > scr * (1.0 + 1e-12))) continue;
          scr = candidate;
          chosen[n] = row;
        }
        if (chosen[n] == before) continue;
        improved = true;
        tally.Exchange(n, totals[n], table[chosen[n]]);
        totals[n] = table[chosen[n]];
      }
    }
    if (!(scr > best_scr)) continue;
    best_scr = scr;
    for (std::size_t n = 0; n < users; ++n) {
      best[n] = {server_of_user[n], problem.split_layers[chosen[n]]};
    }
  }
  return best;
}

}  // namespace dashf::solvers
