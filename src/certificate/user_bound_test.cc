#include "certificate/user_bound.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "scenario/generator.h"

namespace dashf::certificate {
namespace {

// Servers alike but for what they cost, within `spread`, so that many nearly tie.
DeadlineBox SomeBox(const Scenario& scenario, double spread, Rng& rng) {
  DeadlineBox box;
  const auto about = [&](double x) { return x * (1.0 + spread * (rng.Uniform() - 0.5)); };
  for (const Server& server : scenario.servers) {
    box.servers.push_back({.bandwidth_per_hz = about(2.0) / server.bandwidth_hz,
                           .power_per_w = about(2.0) / server.tx_power_w_max,
                           .clock_per_hz = about(4.0) / server.compute.clock_hz_max});
  }
  if (scenario.objective.delay == DelayMode::kMakespan) {
    box.user_phase_s_min = 300.0 * rng.Uniform();
    box.user_phase_s_max = box.user_phase_s_min + 1000.0;
    box.server_phase_s_min = 600.0 * rng.Uniform();
    box.server_phase_s_max = box.server_phase_s_min + 2000.0;
    for (std::size_t n = 0; n < scenario.users.size(); ++n) {
      const double share =
          scenario.objective.delay_weight_per_s / static_cast<double>(scenario.users.size());
      box.user_phase_weight_per_s.push_back(2.0 * share * rng.Uniform());
      box.server_phase_weight_per_s.push_back(2.0 * share * rng.Uniform());
    }
  }
  return box;
}

// What is seen of a server from another's best point excludes none that it should not, and loses
// no more than the tolerance: one by one the servers, each seen from its own, say the same.
TEST(UserBound, OverAllServersIsTheLargestOfTheBoundsOnEach) {
  constexpr double kFine = 1e-7, kScr = 0.4;
  for (int seed = 0; seed < 12; ++seed) {
    Rng rng = Rng(static_cast<std::uint64_t>(seed)).Stream("servers");
    GeneratorOptions options;
    options.delay = seed % 3 == 0 ? DelayMode::kSum : DelayMode::kMakespan;
    options.all_local_allowed = seed % 2 == 0;
    const Scenario scenario = *GenerateStudy(4, 12, options, rng);
    const DeadlineBox box = SomeBox(scenario, seed % 4 < 2 ? 0.02 : 0.5, rng);
    for (std::size_t n = 0; n < scenario.users.size(); ++n) {
      double largest = -kInfinity;
      for (const Link& link : scenario.links[n]) {
        const auto& prices = box.servers[static_cast<std::size_t>(link.server)];
        const UserBound one =
            BoundUserOnServer(scenario, box, kScr, n, link, prices, nullptr, -kInfinity, kFine, 1);
        largest = std::max(largest, one.psi_upper);
      }
      for (const double tolerance : {kFine, 1e-4, 1e-2}) {
        const double all = BoundUser(scenario, box, kScr, n, tolerance, 1).psi_upper;
        EXPECT_GE(all, largest - 2.0 * kFine) << seed << " " << n;
        EXPECT_LE(all, largest + 2.0 * kFine + 1.1 * tolerance) << seed << " " << n;
      }
    }
  }
}

}  // namespace
}  // namespace dashf::certificate
