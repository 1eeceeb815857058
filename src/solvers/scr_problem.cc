#include "solvers/scr_problem.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace dashf::solvers {
namespace {

void AppendUser(const Scenario& scenario, const User& user, ScrProblem* problem) {
  problem->tx_power_w_max.push_back(user.tx_power_w_max);
  problem->clock_hz_max.push_back(user.compute.clock_hz_max);
  problem->kappa_w_per_hz3.push_back(user.compute.kappa_w_per_hz3);
  const SplitProfile& table = scenario.ProfileOf(user);
  problem->layers.push_back(table.layers());
  for (int k = 0; k <= table.layers(); ++k) {
    if (!scenario.SplitAllowed(user, k)) continue;
    const auto row = static_cast<std::size_t>(k);
    problem->split_layers.push_back(k);
    problem->split_local_cycle.push_back(table.local_flop[row] / user.compute.flop_per_cycle);
    problem->split_local_j.push_back(user.compute.energy_j_per_flop * table.local_flop[row]);
    problem->split_server_flop.push_back(table.server_flop[row]);
    problem->split_upload_bit.push_back(table.upload_bit[row]);
    problem->split_download_bit.push_back(table.download_bit[row]);
  }
  problem->split_begin.push_back(static_cast<int>(problem->split_layers.size()));
}

void AppendServer(const Server& server, ScrProblem* problem) {
  problem->server_bandwidth_hz.push_back(server.bandwidth_hz);
  problem->server_tx_power_w_max.push_back(server.tx_power_w_max);
  problem->server_clock_hz_max.push_back(server.compute.clock_hz_max);
  problem->server_flop_per_cycle.push_back(server.compute.flop_per_cycle);
  problem->server_kappa_w_per_hz3.push_back(server.compute.kappa_w_per_hz3);
  problem->server_energy_j_per_flop.push_back(server.compute.energy_j_per_flop);
  problem->server_slots.push_back(server.slots.value_or(ScrProblem::kNoSlotLimit));
}

// Does any split's upload and download end on any link? A rate is at most snr p / ln 2, whatever
// the bandwidth, which may be too little for a time that a number can hold.
bool CanEnd(const Scenario& scenario, std::size_t user, const ScrProblem& problem) {
  const auto ends = [](double bits, double rate) {
    return !(bits > 0.0) || std::isfinite(bits / rate);
  };
  for (const Link& link : scenario.links[user]) {
    const double snr = link.gain / scenario.noise_density_w_per_hz;
    const Server& server = scenario.servers[static_cast<std::size_t>(link.server)];
    const auto last = static_cast<std::size_t>(problem.split_begin[user + 1]);
    for (auto k = static_cast<std::size_t>(problem.split_begin[user]); k < last; ++k) {
      if (ends(problem.split_upload_bit[k], snr * problem.tx_power_w_max[user]) &&
          ends(problem.split_download_bit[k], snr * server.tx_power_w_max)) {
        return true;
      }
    }
  }
  return false;
}

// Time of `amount` at `speed`: nothing to do takes no time, whatever the speed.
double Duration(double amount, double speed) {
  return amount > 0.0 ? amount / speed : 0.0;
}

// (2). Zero bandwidth carries nothing.
double RateBitPerS(double bandwidth_hz, double power_w, double snr_hz_per_w) {
  if (!(bandwidth_hz > 0.0)) return 0.0;
  return bandwidth_hz * std::log1p(snr_hz_per_w * power_w / bandwidth_hz) / std::numbers::ln2;
}

// power x time, where a phase of no length costs nothing.
double Energy(double power_w, double time_s) {
  return time_s > 0.0 ? power_w * time_s : 0.0;
}

}  // namespace

int ScrProblem::FindLink(int user, int server) const {
  const auto first = link_server.begin() + link_begin[static_cast<std::size_t>(user)];
  const auto last = link_server.begin() + link_begin[static_cast<std::size_t>(user) + 1];
  const auto at = std::lower_bound(first, last, server);
  return at != last && *at == server ? static_cast<int>(at - link_server.begin()) : -1;
}

int ScrProblem::FindSplit(int user, int local_layers) const {
  const auto first = split_layers.begin() + split_begin[static_cast<std::size_t>(user)];
  const auto last = split_layers.begin() + split_begin[static_cast<std::size_t>(user) + 1];
  const auto at = std::lower_bound(first, last, local_layers);
  return at != last && *at == local_layers ? static_cast<int>(at - split_layers.begin()) : -1;
}

Expected<ScrProblem> MakeScrProblem(const Scenario& scenario) {
  ScrProblem problem;
  problem.delay = scenario.objective.delay;
  problem.delay_weight_per_s = scenario.objective.delay_weight_per_s;
  problem.energy_weight_per_j = scenario.objective.energy_weight_per_j;
  problem.score_scale = scenario.objective.score_scale;
  problem.score_gain = scenario.objective.score_gain;
  problem.link_begin.push_back(0);
  problem.split_begin.push_back(0);
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const User& user = scenario.users[n];
    for (const Link& link : scenario.links[n]) {
      problem.link_server.push_back(link.server);
      constexpr double kSnrMax = 1e250;  // What is above it counts as that: a number with a log.
      const double snr = link.gain / scenario.noise_density_w_per_hz;
      problem.link_snr_hz_per_w.push_back(std::min(snr, kSnrMax));
    }
    problem.link_begin.push_back(static_cast<int>(problem.link_server.size()));
    if (scenario.links[n].empty()) {
      return Fail(ErrorKind::kInfeasible, "user " + user.id, "reaches no server");
    }
    AppendUser(scenario, user, &problem);
    if (problem.split_begin[n] == problem.split_begin[n + 1]) {
      return Fail(ErrorKind::kInfeasible, "user " + user.id, "no split is allowed");
    }
    if (!CanEnd(scenario, n, problem)) {
      return Fail(ErrorKind::kInfeasible,
                  "user " + user.id,
                  "no link carries its bits in a finite time: every gain is too small");
    }
  }
  for (const Server& server : scenario.servers) AppendServer(server, &problem);
  return problem;
}

Association AssociationOf(const Plan& plan) {
  Association association(plan.size());
  std::transform(plan.begin(), plan.end(), association.begin(), [](const Decision& decision) {
    return Choice{decision.server, decision.local_layers};
  });
  return association;
}

bool IsAdmissible(const ScrProblem& problem, const Association& association) {
  if (static_cast<int>(association.size()) != problem.users()) return false;
  std::vector<int> load(problem.server_slots.size(), 0);
  for (int n = 0; n < problem.users(); ++n) {
    const Choice& choice = association[static_cast<std::size_t>(n)];
    if (problem.FindLink(n, choice.server) < 0) return false;
    if (problem.FindSplit(n, choice.local_layers) < 0) return false;
    const auto m = static_cast<std::size_t>(choice.server);
    if (++load[m] > problem.server_slots[m]) return false;
  }
  return true;
}

UserTotals TotalsOf(const ScrProblem& problem, int user, const Decision& decision) {
  const int link = problem.FindLink(user, decision.server);
  const int split = problem.FindSplit(user, decision.local_layers);
  DASHF_CHECK(link >= 0 && split >= 0);
  const auto n = static_cast<std::size_t>(user), m = static_cast<std::size_t>(decision.server);
  const auto k = static_cast<std::size_t>(split);
  const double snr = problem.link_snr_hz_per_w[static_cast<std::size_t>(link)];
  const double cycle = problem.split_local_cycle[k], upload = problem.split_upload_bit[k];
  const double download = problem.split_download_bit[k];
  const double server_cycle = problem.split_server_flop[k] / problem.server_flop_per_cycle[m];
  const double f = decision.local_clock_hz, s = decision.server_clock_hz;
  const double up_s =
      Duration(upload, RateBitPerS(decision.bandwidth_hz, decision.tx_power_w, snr));
  const double down_s =
      Duration(download, RateBitPerS(decision.bandwidth_hz, decision.server_tx_power_w, snr));

  UserTotals totals;
  totals.user_phase_s = Duration(cycle, f) + up_s;
  totals.server_phase_s = Duration(server_cycle, s) + down_s;
  totals.energy_j = problem.kappa_w_per_hz3[n] * f * f * cycle + Energy(decision.tx_power_w, up_s) +
                    problem.server_kappa_w_per_hz3[m] * s * s * server_cycle +
                    Energy(decision.server_tx_power_w, down_s) + problem.split_local_j[k] +
                    problem.server_energy_j_per_flop[m] * problem.split_server_flop[k];
  double granted = 0.0;
  if (download > 0.0) granted += decision.server_tx_power_w / problem.server_tx_power_w_max[m];
  if (upload + download > 0.0) granted += decision.bandwidth_hz / problem.server_bandwidth_hz[m];
  if (server_cycle > 0.0) granted += s / problem.server_clock_hz_max[m];
  totals.score = problem.score_scale * std::log1p(problem.score_gain * granted);
  return totals;
}

PlanTotals TotalsOf(const ScrProblem& problem, const Plan& plan) {
  PlanTotals totals;
  double user_phase_s = 0.0, server_phase_s = 0.0;
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const UserTotals user = TotalsOf(problem, static_cast<int>(n), plan[n]);
    totals.score += user.score;
    totals.energy_j += user.energy_j;
    if (problem.delay == DelayMode::kSum) {
      user_phase_s += user.user_phase_s;
      server_phase_s += user.server_phase_s;
    } else {
      user_phase_s = std::max(user_phase_s, user.user_phase_s);
      server_phase_s = std::max(server_phase_s, user.server_phase_s);
    }
  }
  totals.delay_s = user_phase_s + server_phase_s;
  totals.cost =
      problem.delay_weight_per_s * totals.delay_s + problem.energy_weight_per_j * totals.energy_j;
  return totals;
}

}  // namespace dashf::solvers
