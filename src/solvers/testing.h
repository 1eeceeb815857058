// Random scenarios for this module's tests: the default study's magnitudes (docs/model.md)
// and, on request, the corners of the model. Not for the product.
#pragma once

#include <fmt/format.h>

#include <cmath>

#include "base/rng.h"
#include "scenario/scenario.h"

namespace dashf::solvers::testing {

struct RandomScenarioOptions {
  int users = 4;
  int servers = 2;
  int layers = 4;
  DelayMode delay = DelayMode::kSum;
  bool all_local_allowed = false;
  // Draws corners too: zero columns of the table, no energy or no delay weight, kappa = 0, energy
  // per operation, gains a million times too small, tight memory, sparse links, slots.
  bool corners = false;
};

inline SplitProfile RandomProfile(const RandomScenarioOptions& options, Rng* rng) {
  const double tokens = rng->Uniform(5e4, 1.5e5), layers = options.layers;
  const bool no_upload = options.corners && rng->Below(6) == 0;
  const bool no_download = options.corners && rng->Below(4) == 0;
  const bool no_server_work = options.corners && rng->Below(6) == 0;
  SplitProfile table;
  for (int k = 0; k <= options.layers; ++k) {
    const double local = k / layers;
    const bool all_local = k == options.layers;
    table.local_flop.push_back(k == 0 ? 0.0 : tokens * (2e9 + 4e9 * local));
    table.server_flop.push_back(all_local || no_server_work ? 0.0
                                                            : tokens * (2e9 + 4e9 * (1 - local)));
    table.upload_bit.push_back(all_local || no_upload ? 0.0
                                                      : 16 * tokens + 5.6e6 * k * 16 / layers);
    table.download_bit.push_back(all_local || no_download ? 0.0 : 5.6e6 * 16 * (1 - local));
    table.local_memory_bytes.push_back(1e9 * (1 + k));
  }
  return table;
}

// 128.1 + 37.6 log10(d / 1 km) dB and Rayleigh fading.
inline double RandomGain(double distance_m, Rng* rng) {
  const double loss_db = 128.1 + 37.6 * std::log10(std::max(distance_m, 10.0) / 1000.0);
  return std::pow(10.0, -loss_db / 10.0) * std::max(rng->Exponential(), 1e-3);
}

inline Compute RandomCompute(double flops_min, double flops_max, double watt, Rng* rng) {
  const double clock_hz = rng->Uniform(0.5, 1.0) * 1e9;
  const double flops = rng->Uniform(flops_min, flops_max);
  return {clock_hz, flops / clock_hz, watt / (clock_hz * clock_hz * clock_hz)};
}

inline void AddCorners(Scenario* scenario, int layers, Rng* rng) {
  if (rng->Below(5) == 0)
    scenario->objective.energy_weight_per_j = 0.0;
  else if (rng->Below(5) == 0)
    scenario->objective.delay_weight_per_s = 0.0;
  for (User& user : scenario->users) {
    if (rng->Below(5) == 0) user.compute.kappa_w_per_hz3 = 0.0;
    if (rng->Below(3) == 0) user.compute.energy_j_per_flop = rng->Uniform(0.0, 4e-12);
    if (rng->Below(4) == 0)
      user.memory_bytes_max =
          1e9 * (1.0 + static_cast<double>(rng->Below(static_cast<std::uint64_t>(layers))));
  }
  for (Server& server : scenario->servers) {
    if (rng->Below(5) == 0) server.compute.kappa_w_per_hz3 = 0.0;
    if (rng->Below(3) == 0) server.compute.energy_j_per_flop = rng->Uniform(0.0, 2e-11);
  }
  for (auto& links : scenario->links) {
    if (rng->Below(6) == 0) {
      for (Link& link : links) link.gain *= 1e-6;
    }
    // Server 0 stays: with as many slots as users there is always a plan.
    if (rng->Below(3) == 0) links.resize(1);
  }
  if (scenario->servers.size() > 1 && rng->Below(2) == 0) {
    scenario->servers.back().slots = static_cast<int>(1 + scenario->users.size() / 2);
  }
}

inline Scenario RandomScenario(const RandomScenarioOptions& options, Rng rng) {
  Scenario scenario;
  scenario.name = "random";
  scenario.noise_density_w_per_hz = 2e-20;  // -174 dBm/Hz and a noise figure of 7 dB.
  scenario.objective.delay = options.delay;
  scenario.objective.all_local_allowed = options.all_local_allowed;
  scenario.objective.delay_weight_per_s = rng.Uniform(0.2, 2.0);
  scenario.objective.energy_weight_per_j = rng.Uniform(0.05, 1.0);
  scenario.objective.score_scale = rng.Uniform(0.5, 2.0);
  scenario.objective.score_gain = rng.Uniform(0.5, 5.0);
  for (int m = 0; m < options.servers; ++m) {
    Server server;
    server.id = fmt::format("s{}", m);
    server.bandwidth_hz = rng.Uniform(1e6, 2e7);
    server.tx_power_w_max = rng.Uniform(2.0, 20.0);
    server.compute = RandomCompute(1e12, 4e12, rng.Uniform(10.0, 60.0), &rng);
    scenario.servers.push_back(server);
  }
  for (int n = 0; n < options.users; ++n) {
    User user;
    user.id = fmt::format("u{}", n);
    user.tx_power_w_max = rng.Uniform(0.05, 0.4);
    user.compute = RandomCompute(0.6e12, 2.2e12, rng.Uniform(3.0, 6.0), &rng);
    user.memory_bytes_max = 1e12;
    user.profile = n;
    scenario.users.push_back(user);
    scenario.profiles.push_back(RandomProfile(options, &rng));
    scenario.profiles.back().name = fmt::format("p{}", n);
    std::vector<Link> links;
    for (int m = 0; m < options.servers; ++m) {
      links.push_back({m, RandomGain(rng.Uniform(20.0, 800.0), &rng)});
    }
    scenario.links.push_back(links);
  }
  if (options.corners) AddCorners(&scenario, options.layers, &rng);
  return scenario;
}

}  // namespace dashf::solvers::testing
