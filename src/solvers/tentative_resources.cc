#include "solvers/tentative_resources.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "solvers/resource_step.h"
#include "solvers/resource_terms.h"

namespace dashf::solvers {
namespace {

// A second's price to one user. A barrier's second is shared by all; a vanishing price would slow
// clocks without end.
double SecondPrice(const ScrProblem& problem) {
  double price = problem.delay_weight_per_s;
  if (problem.delay == DelayMode::kMakespan) price /= problem.users();
  return std::max(price, 1e-6 * problem.energy_weight_per_j);
}

double LocalCycle(const ScrProblem& problem, int user, const Decision& decision) {
  const int split = problem.FindSplit(user, decision.local_layers);
  DASHF_CHECK(split >= 0);
  return problem.split_local_cycle[split];
}

// Time of the user phase without the training.
double UploadS(const ScrProblem& problem, int user, Decision decision) {
  const double cycle = LocalCycle(problem, user, decision);
  decision.local_clock_hz = problem.clock_hz_max[user];
  const double all_s = TotalsOf(problem, user, decision).user_phase_s;
  return cycle > 0.0 ? all_s - cycle / decision.local_clock_hz : all_s;
}

void ShareClocksByWork(const ScrProblem& problem, Plan* plan) {
  const bool makespan = problem.delay == DelayMode::kMakespan;
  std::vector<double> weight(plan->size()), total(problem.server_clock_hz_max.size(), 0.0);
  for (std::size_t n = 0; n < plan->size(); ++n) {
    const Decision& decision = (*plan)[n];
    const int split = problem.FindSplit(static_cast<int>(n), decision.local_layers);
    const double work = problem.split_server_flop[split];
    weight[n] = makespan ? work : std::sqrt(work);
    total[decision.server] += weight[n];
  }
  for (std::size_t n = 0; n < plan->size(); ++n) {
    Decision& decision = (*plan)[n];
    if (!(weight[n] > 0.0)) continue;
    decision.server_clock_hz =
        problem.server_clock_hz_max[decision.server] * weight[n] / total[decision.server];
  }
}

// min over T of w_t T + w_e sum_n kappa cycle^3 / (T - upload)^2, convex, by golden section over
// [fastest possible, four times that].
void FillUserPhase(const ScrProblem& problem, Plan* plan) {
  constexpr double kGolden = 0.6180339887498949;
  constexpr int kSections = 40;
  std::vector<double> upload_s(plan->size()), cycle(plan->size());
  double low = 0.0;
  for (std::size_t n = 0; n < plan->size(); ++n) {
    upload_s[n] = UploadS(problem, static_cast<int>(n), (*plan)[n]);
    cycle[n] = LocalCycle(problem, static_cast<int>(n), (*plan)[n]);
    low = std::max(low, upload_s[n] + cycle[n] / problem.clock_hz_max[n]);
  }
  const auto clock = [&](std::size_t n, double barrier_s) {
    return std::min(problem.clock_hz_max[n], cycle[n] / std::max(barrier_s - upload_s[n], 1e-300));
  };
  const auto cost = [&](double barrier_s) {
    double sum = problem.delay_weight_per_s * barrier_s;
    for (std::size_t n = 0; n < plan->size(); ++n) {
      if (cycle[n] == 0.0) continue;
      const double f = clock(n, barrier_s);
      sum += problem.energy_weight_per_j * problem.kappa_w_per_hz3[n] * f * f * cycle[n];
    }
    return sum;
  };
  double high = 4.0 * low;
  for (int i = 0; i < kSections; ++i) {
    const double left = high - kGolden * (high - low), right = low + kGolden * (high - low);
    (cost(left) <= cost(right) ? high : low) = cost(left) <= cost(right) ? right : left;
  }
  for (std::size_t n = 0; n < plan->size(); ++n) {
    if (cycle[n] > 0.0) (*plan)[n].local_clock_hz = clock(n, high);
  }
}

// Energy falls with the square of the clock, delay and score ask for all of it.
Plan BestClockLevel(const ScrProblem& problem, double y, const Plan& full) {
  constexpr double kLevels[] = {1.0, 0.8, 0.63, 0.5, 0.4, 0.3, 0.2};
  Plan best = full;
  double best_gain = -std::numeric_limits<double>::infinity();
  for (const double level : kLevels) {
    Plan plan = full;
    for (Decision& decision : plan) decision.server_clock_hz *= level;
    const PlanTotals totals = TotalsOf(problem, plan);
    const double gain = totals.score - y * totals.cost;
    if (!(gain > best_gain)) break;  // Concave enough in practice: stop at the first descent.
    best_gain = gain;
    best = std::move(plan);
  }
  return best;
}

// (5) for one user alone; in makespan mode a lower bound on the cost of any plan with this choice.
double OwnCost(const ScrProblem& problem, const UserTotals& totals) {
  return problem.delay_weight_per_s * (totals.user_phase_s + totals.server_phase_s) +
         problem.energy_weight_per_j * totals.energy_j;
}

void DropHopeless(const ScrProblem& problem, double y, std::vector<TentativeChoice>* choices) {
  const double score_max =
      problem.users() * problem.score_scale * std::log1p(3.0 * problem.score_gain);
  double cheapest = std::numeric_limits<double>::infinity();
  for (const TentativeChoice& choice : *choices) {
    cheapest = std::min(cheapest, OwnCost(problem, choice.totals));
  }
  std::erase_if(*choices, [&](const TentativeChoice& choice) {
    const double cost = OwnCost(problem, choice.totals);
    return !(cost <= cheapest) && !(y * cost <= score_max);
  });
}

}  // namespace

double UserBarrierS(const ScrProblem& problem, const Plan& plan) {
  double barrier_s = 0.0;
  for (std::size_t n = 0; problem.delay == DelayMode::kMakespan && n < plan.size(); ++n) {
    barrier_s = std::max(barrier_s, TotalsOf(problem, static_cast<int>(n), plan[n]).user_phase_s);
  }
  return barrier_s;
}

double LocalClockHz(const ScrProblem& problem, int user, const Decision& d, double user_phase_s) {
  const double cycle = LocalCycle(problem, user, d);
  if (cycle == 0.0) return 0.0;
  const double full_hz = problem.clock_hz_max[user];
  if (problem.delay == DelayMode::kSum) {
    return internal::BestClockHz(
        full_hz, problem.kappa_w_per_hz3[user], SecondPrice(problem), problem.energy_weight_per_j);
  }
  const double left_s = user_phase_s - UploadS(problem, user, d);
  return left_s * full_hz > cycle ? cycle / left_s : full_hz;
}

Decision WithSplit(const ScrProblem& problem,
                   int user,
                   Decision decision,
                   int local_layers,
                   double fallback,
                   double user_phase_s) {
  const int split = problem.FindSplit(user, local_layers);
  const int link = problem.FindLink(user, decision.server);
  DASHF_CHECK(split >= 0 && link >= 0);
  const auto m = static_cast<std::size_t>(decision.server);
  decision.local_layers = local_layers;
  const bool uploads = problem.split_upload_bit[split] > 0.0;
  const bool downloads = problem.split_download_bit[split] > 0.0;
  const auto settle = [fallback](bool needed, double capacity, double* resource) {
    if (!needed) *resource = 0.0;
    if (needed && !(*resource > 0.0)) *resource = fallback * capacity;
  };
  settle(uploads || downloads, problem.server_bandwidth_hz[m], &decision.bandwidth_hz);
  settle(downloads, problem.server_tx_power_w_max[m], &decision.server_tx_power_w);
  settle(problem.split_server_flop[split] > 0.0,
         problem.server_clock_hz_max[m],
         &decision.server_clock_hz);
  if (!uploads) decision.tx_power_w = 0.0;
  if (uploads && !(decision.tx_power_w > 0.0)) {
    decision.tx_power_w = internal::BestPowerW(problem.tx_power_w_max[user],
                                               decision.bandwidth_hz,
                                               problem.link_snr_hz_per_w[link],
                                               SecondPrice(problem),
                                               problem.energy_weight_per_j);
  }
  decision.local_clock_hz = LocalClockHz(problem, user, decision, user_phase_s);
  return decision;
}

Plan QuickShares(const ScrProblem& problem, double y, const Association& association) {
  Plan plan = EqualShares(problem, association);
  ShareClocksByWork(problem, &plan);
  if (problem.delay == DelayMode::kMakespan) FillUserPhase(problem, &plan);
  return BestClockLevel(problem, y, plan);
}

TentativeTable MakeTentativeTable(const ScrProblem& problem,
                                  double y,
                                  const Plan& plan,
                                  TentativeShares shares) {
  TentativeTable table;
  std::vector<int> load(problem.server_slots.size(), 0);
  for (const Decision& decision : plan) ++load[decision.server];
  table.choices.resize(plan.size());
  table.share_of_link.resize(problem.link_server.size());
  table.share_max.assign(load.size(), {0.0, 0.0, 0.0});
  const double barrier_s = UserBarrierS(problem, plan);
  const double mean = std::min(1.0, static_cast<double>(load.size()) / problem.users());
  for (int n = 0; n < problem.users(); ++n) {
    for (int link = problem.link_begin[n]; link < problem.link_begin[n + 1]; ++link) {
      const int m = problem.link_server[link];
      const bool joined = shares == TentativeShares::kIfJoined;
      const double equal = joined ? 1.0 / (load[m] + 1) : mean;
      Decision base{.server = m};
      if (plan[n].server == m) {
        const double kept = joined ? load[m] * equal : 1.0;
        base = plan[n];
        base.bandwidth_hz *= kept;
        base.server_tx_power_w *= kept;
        base.server_clock_hz *= kept;
      }
      const std::array<double, 3> held = {base.bandwidth_hz / problem.server_bandwidth_hz[m],
                                          base.server_tx_power_w / problem.server_tx_power_w_max[m],
                                          base.server_clock_hz / problem.server_clock_hz_max[m]};
      for (int r = 0; r < 3; ++r) {
        table.share_of_link[link][r] = held[r] > 0.0 ? held[r] : equal;
        if (plan[n].server == m) table.share_max[m][r] += table.share_of_link[link][r];
      }
      for (int split = problem.split_begin[n]; split < problem.split_begin[n + 1]; ++split) {
        const int k = problem.split_layers[split];
        const UserTotals totals =
            TotalsOf(problem, n, WithSplit(problem, n, base, k, equal, barrier_s));
        table.choices[n].push_back({m, k, totals});
      }
    }
    DropHopeless(problem, y, &table.choices[n]);
  }
  for (auto& share_max : table.share_max) {
    for (double& share : share_max) share = std::max(share, 1.0);
  }
  return table;
}

}  // namespace dashf::solvers
