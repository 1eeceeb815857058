#include "certificate/user_rows.h"

#include <algorithm>
#include <cmath>

#include "certificate/user_bound.h"

namespace dashf::certificate {
namespace {

double Widened(double limit) {
  return Up(limit * Up(1.0 + kLimitSlack));
}

// min over 0 < f <= F of weight W / (c f) + e kappa f^2 W / c + e epsilon W, rounded down.
// Splitting the first term in two equal parts, the mean inequality gives 3 (weight^2 e kappa /
// 4)^(1/3) W / c for any f; where even F is below the minimiser the value at F is the minimum.
double LocalCost(const Compute& compute, double flop, double weight, double energy_weight) {
  if (flop == 0.0) return 0.0;
  const double per_cycle = Down(flop / compute.flop_per_cycle);
  const double constant = Down(Down(energy_weight * compute.energy_j_per_flop) * flop);
  const double e = Down(energy_weight * compute.kappa_w_per_hz3);
  const double f = Widened(compute.clock_hz_max);
  if (weight >= Up(2.0 * Up(Up(Up(e * f) * f) * f))) {
    return Down(constant + Down(per_cycle * Down(Down(weight / f) + Down(e * Down(f * f)))));
  }
  const double cube = Down(Down(Down(weight * weight) * e) / 4.0);
  return Down(constant +
              Down(per_cycle * Down(3.0 * std::max(0.0, CbrtDown(std::max(0.0, cube))))));
}

}  // namespace

UserRows::UserRows(const Scenario& scenario,
                   const DeadlineBox& box,
                   double scr_upper,
                   std::size_t user)
    : scenario_(scenario),
      box_(box),
      user_(scenario.users[user]),
      table_(scenario.ProfileOf(user_)) {
  const bool sum = scenario.objective.delay == DelayMode::kSum;
  const double w_t = scenario.objective.delay_weight_per_s;
  const auto carries = [&](const std::vector<double>& weight_per_s) {
    return std::max(0.0, Down(scr_upper * (sum ? w_t : weight_per_s[user])));
  };
  carried_ = {carries(box.user_phase_weight_per_s), carries(box.server_phase_weight_per_s)};
  energy_weight_ = std::max(0.0, Down(scr_upper * scenario.objective.energy_weight_per_j));
  weight_min_ = 1e-6 * scr_upper * w_t / static_cast<double>(scenario.users.size());
}

RowProblem UserRows::Make(const Link& link,
                          const ServerPrices& prices,
                          int layers,
                          const PhaseWeights& wanted) const {
  const auto k = static_cast<std::size_t>(layers);
  const Server& server = scenario_.servers[static_cast<std::size_t>(link.server)];
  // A phase without work or bits lasts no time: no weight on it, so that all of what the user
  // carries is charged at the box's lower end.
  const bool has_user_phase = table_.local_flop[k] > 0.0 || table_.upload_bit[k] > 0.0;
  const bool has_server_phase = table_.server_flop[k] > 0.0 || table_.download_bit[k] > 0.0;
  const PhaseWeights weights{has_user_phase ? wanted.user : 0.0,
                             has_server_phase ? wanted.server : 0.0};
  RowProblem row;
  row.score_scale = scenario_.objective.score_scale;
  row.score_gain = scenario_.objective.score_gain;
  const double upload = table_.upload_bit[k];
  const double download = table_.download_bit[k];
  const double flop = table_.server_flop[k];
  if (upload > 0.0 || download > 0.0) row.share_per_hz = Up(1.0 / server.bandwidth_hz);
  if (download > 0.0) row.share_per_w = Up(1.0 / server.tx_power_w_max);
  if (flop > 0.0) row.share_per_clock = Up(1.0 / server.compute.clock_hz_max);
  row.bandwidth_price = prices.bandwidth_per_hz;
  row.power_price = prices.power_per_w;
  row.clock_price = prices.clock_per_hz;
  row.bandwidth_max = Widened(server.bandwidth_hz);
  row.power_max = Widened(server.tx_power_w_max);
  row.clock_max = Widened(server.compute.clock_hz_max);
  row.user_power_max = Widened(user_.tx_power_w_max);
  row.snr_hz_per_w = Up(link.gain / scenario_.noise_density_w_per_hz);
  row.upload_nat = std::max(0.0, Down(upload * kLn2.lo));
  row.download_nat = std::max(0.0, Down(download * kLn2.lo));
  row.user_weight_per_s = weights.user;
  row.server_weight_per_s = weights.server;
  row.energy_weight_per_j = energy_weight_;
  const double per_cycle = Down(flop / server.compute.flop_per_cycle);
  row.server_delay_cost = std::max(0.0, Down(weights.server * per_cycle));
  row.server_energy_cost =
      std::max(0.0, Down(Down(energy_weight_ * server.compute.kappa_w_per_hz3) * per_cycle));
  const double local = LocalCost(user_.compute, table_.local_flop[k], weights.user, energy_weight_);
  const double rest =
      Down(RestOfCharge(carried_.user, weights.user, box_.user_phase_s_min, box_.user_phase_s_max) +
           RestOfCharge(
               carried_.server, weights.server, box_.server_phase_s_min, box_.server_phase_s_max));
  const double constant = Down(Down(energy_weight_ * server.compute.energy_j_per_flop) * flop);
  row.fixed_cost = Down(Down(Down(local + constant) + prices.slot) + rest);
  return row;
}

std::vector<int> UserRows::SplitsWithin(const Link& link, const std::vector<bool>* allowed) const {
  const Server& server = scenario_.servers[static_cast<std::size_t>(link.server)];
  const double bandwidth = Widened(server.bandwidth_hz);
  const Interval snr = Up(link.gain / scenario_.noise_density_w_per_hz);
  const auto nats_per_s = [&](double power) {
    return (Interval(bandwidth) * Log1p(snr * Widened(power) / bandwidth)).hi;
  };
  const double sends = nats_per_s(user_.tx_power_w_max);
  const double receives = nats_per_s(server.tx_power_w_max);
  const double local_clock = Widened(user_.compute.clock_hz_max);
  const double server_clock = Widened(server.compute.clock_hz_max);
  // The least time that an amount takes; none takes none.
  const auto at_least = [](double amount, double rate) {
    return amount > 0.0 ? Down(Down(amount) / rate) : 0.0;
  };
  std::vector<int> within;
  for (int layers = 0; layers <= table_.layers(); ++layers) {
    const auto k = static_cast<std::size_t>(layers);
    if (!scenario_.SplitAllowed(user_, layers)) continue;
    if (allowed != nullptr && !(*allowed)[k]) continue;
    const double user_s =
        Down(at_least(table_.local_flop[k] / user_.compute.flop_per_cycle, local_clock) +
             at_least(table_.upload_bit[k] * kLn2.lo, sends));
    const double server_s =
        Down(at_least(table_.server_flop[k] / server.compute.flop_per_cycle, server_clock) +
             at_least(table_.download_bit[k] * kLn2.lo, receives));
    if (user_s > box_.user_phase_s_max || server_s > box_.server_phase_s_max) continue;
    within.push_back(layers);
  }
  return within;
}

PhaseWeights UserRows::PhasesAt(const RowProblem& row,
                                const Link& link,
                                int layers,
                                const Point& at) const {
  const auto k = static_cast<std::size_t>(layers);
  PhaseWeights phases;
  if (const double cycles = table_.local_flop[k] / user_.compute.flop_per_cycle; cycles > 0.0) {
    const double e = 2.0 * energy_weight_ * user_.compute.kappa_w_per_hz3;
    double clock = user_.compute.clock_hz_max;
    if (e > 0.0) clock = std::min(clock, std::cbrt(row.user_weight_per_s / e));
    phases.user += cycles / clock;
  }
  if (row.upload_nat > 0.0) phases.user += row.upload_nat / (at.bandwidth_hz * at.upload_z);
  if (row.share_per_clock > 0.0) {
    const Server& server = scenario_.servers[static_cast<std::size_t>(link.server)];
    phases.server += table_.server_flop[k] / server.compute.flop_per_cycle / at.clock_hz;
  }
  if (row.downloads()) phases.server += row.download_nat / (at.bandwidth_hz * at.z);
  return phases;
}

WeightSearch UserRows::UserSearch(double near) const {
  return {carried_.user, weight_min_, box_.user_phase_s_min, box_.user_phase_s_max, near};
}

WeightSearch UserRows::ServerSearch(double near) const {
  return {carried_.server, weight_min_, box_.server_phase_s_min, box_.server_phase_s_max, near};
}

}  // namespace dashf::certificate
