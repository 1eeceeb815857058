#include "solvers/best_splits.h"

#include <algorithm>
#include <cmath>

#include "solvers/resource_step.h"

namespace dashf::solvers {
namespace {

// Score and cost of a set of users with one of them exchanged, in O(1): sums in sum mode, the two
// largest of each phase in makespan mode.
class Tally {
 public:
  explicit Tally(const ScrProblem& problem) : problem_(problem) {}

  void Reset(const std::vector<UserTotals>& users) {
    score_ = energy_j_ = 0.0;
    user_phase_ = server_phase_ = Phase{};
    for (const UserTotals& user : users) {
      score_ += user.score;
      energy_j_ += user.energy_j;
      user_phase_.Add(user.user_phase_s);
      server_phase_.Add(user.server_phase_s);
    }
  }

  double ScrWith(const UserTotals& leaving, const UserTotals& joining) const {
    const double score = score_ - leaving.score + joining.score;
    const double energy_j = energy_j_ - leaving.energy_j + joining.energy_j;
    const bool makespan = problem_.delay == DelayMode::kMakespan;
    const double delay_s =
        user_phase_.With(leaving.user_phase_s, joining.user_phase_s, makespan) +
        server_phase_.With(leaving.server_phase_s, joining.server_phase_s, makespan);
    const double cost =
        problem_.delay_weight_per_s * delay_s + problem_.energy_weight_per_j * energy_j;
    return cost > 0.0 ? score / cost : 0.0;
  }

 private:
  struct Phase {
    double sum = 0.0, largest = 0.0, second = 0.0;
    void Add(double x) {
      sum += x;
      second = std::max(second, std::min(x, largest));
      largest = std::max(largest, x);
    }
    double With(double leaving, double joining, bool makespan) const {
      if (!makespan) return sum - leaving + joining;
      return std::max(leaving == largest ? second : largest, joining);
    }
  };
  const ScrProblem& problem_;
  double score_ = 0.0, energy_j_ = 0.0;
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
    Tally tally(problem);
    double scr = -1.0;
    bool improved = true;
    for (int sweep = 0; improved && sweep < kSweepsMax; ++sweep) {
      improved = false;
      for (std::size_t n = 0; n < users; ++n) {
        tally.Reset(totals);
        scr = tally.ScrWith(totals[n], totals[n]);
        for (int i = problem.split_begin[n]; i < problem.split_begin[n + 1]; ++i) {
          const auto row = static_cast<std::size_t>(i);
          const double candidate = tally.ScrWith(totals[n], table[row]);
          if (!(candidate > scr * (1.0 + 1e-12))) continue;
          scr = candidate;
          chosen[n] = row;
          improved = true;
        }
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
