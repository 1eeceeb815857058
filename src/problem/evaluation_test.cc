#include "problem/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"
#include "scenario/generator.h"

namespace dashf {
namespace {

using ::testing::HasSubstr;

// Two equal users, two equal servers, L = 2, numbers that make (1)-(6) plain:
//   local:    k GFLOP at 1 FLOP/cycle, 1 GHz: k s, at kappa f^3 = 2 W: 2k J
//   server:   2 (2 - k) GFLOP at 2 FLOP/cycle, 1 GHz: 2 - k s at 3 W
//   upload:   b = 1 MHz, g p / (N0 b) = 3: r = 2 Mbit/s, 4 Mbit: 2 s at 0.5 W
//   download: b = 1 MHz, g q / (N0 b) = 15: r = 4 Mbit/s, 4 Mbit: 1 s at 2.5 W
// and every user granted half of each server resource: v = ln(1 + 2 * 1.5) = ln 4.
Scenario TwoByTwo() {
  Scenario s;
  s.objective = {.delay = DelayMode::kSum,
                 .delay_weight_per_s = 1.0,
                 .energy_weight_per_j = 0.1,
                 .score_scale = 1.0,
                 .score_gain = 2.0,
                 .all_local_allowed = true};
  s.noise_density_w_per_hz = 1e-20;
  s.profiles = {{.name = "p",
                 .local_flop = {0, 1e9, 2e9},
                 .server_flop = {4e9, 2e9, 0},
                 .upload_bit = {4e6, 4e6, 0},
                 .download_bit = {4e6, 4e6, 0},
                 .local_memory_bytes = {0, 10, 20}}};
  for (const char* id : {"u0", "u1"}) {
    s.users.push_back({.id = id,
                       .name = {},
                       .position_m = {},
                       .tx_power_w_max = 0.5,
                       .compute = {1e9, 1.0, 2e-27},
                       .memory_bytes_max = 100,
                       .profile = 0});
  }
  for (const char* id : {"s0", "s1"}) {
    s.servers.push_back({.id = id,
                         .name = {},
                         .position_m = {},
                         .bandwidth_hz = 2e6,
                         .tx_power_w_max = 5.0,
                         .slots = 2,
                         .compute = {2e9, 2.0, 3e-27}});
  }
  s.links = {{{0, 6e-14}, {1, 6e-14}}, {{0, 6e-14}}};
  return s;
}

constexpr Decision kHalf{.server = 0,
                         .local_layers = 1,
                         .local_clock_hz = 1e9,
                         .tx_power_w = 0.5,
                         .bandwidth_hz = 1e6,
                         .server_tx_power_w = 2.5,
                         .server_clock_hz = 1e9};

std::string Rules(const Evaluation& evaluation) {
  std::string text;
  for (const Violation& violation : evaluation.violations) {
    text += violation.where + ": " + violation.rule + "\n";
  }
  return text;
}

TEST(Evaluate, GivesTheHandComputedPhases) {
  const Evaluation e = Evaluate(TwoByTwo(), {kHalf, kHalf});
  ASSERT_TRUE(e.feasible) << Rules(e);
  const UserEvaluation& user = e.users[0];
  EXPECT_DOUBLE_EQ(user.delay_s.local, 1.0);
  EXPECT_DOUBLE_EQ(user.delay_s.upload, 2.0);
  EXPECT_DOUBLE_EQ(user.delay_s.server, 1.0);
  EXPECT_DOUBLE_EQ(user.delay_s.download, 1.0);
  EXPECT_DOUBLE_EQ(user.energy_j.local, 2.0);
  EXPECT_DOUBLE_EQ(user.energy_j.upload, 1.0);
  EXPECT_DOUBLE_EQ(user.energy_j.server, 3.0);
  EXPECT_DOUBLE_EQ(user.energy_j.download, 2.5);
  EXPECT_DOUBLE_EQ(user.score, std::log(4.0));
  EXPECT_DOUBLE_EQ(e.delay_s, 10.0);
  EXPECT_DOUBLE_EQ(e.energy_j, 17.0);
  EXPECT_DOUBLE_EQ(e.cost, 10.0 + 1.7);
  EXPECT_DOUBLE_EQ(e.scr, 2.0 * std::log(4.0) / 11.7);
}

// 1 GFLOP at 2 nJ locally and 2 GFLOP at 0.25 nJ at the server, whatever the clocks.
TEST(Evaluate, AddsTheEnergyPerOperationWhateverTheClock) {
  Scenario scenario = TwoByTwo();
  for (User& user : scenario.users) user.compute.energy_j_per_flop = 2e-9;
  for (Server& server : scenario.servers) server.compute.energy_j_per_flop = 0.25e-9;
  EXPECT_DOUBLE_EQ(Evaluate(scenario, {kHalf, kHalf}).users[0].energy_j.local, 2.0 + 2.0);
  for (User& user : scenario.users) user.compute.kappa_w_per_hz3 = 0.0;
  for (Server& server : scenario.servers) server.compute.kappa_w_per_hz3 = 0.0;
  for (const double slower : {1.0, 0.5, 0.01}) {
    Decision decision = kHalf;
    decision.local_clock_hz *= slower;
    decision.server_clock_hz *= slower;
    const Evaluation e = Evaluate(scenario, {decision, kHalf});
    EXPECT_DOUBLE_EQ(e.users[0].energy_j.local, 2.0);
    EXPECT_DOUBLE_EQ(e.users[0].energy_j.server, 0.5);
  }
}

// With u1 all-server (no local second, 2 s at the server): max(1 + 2, 2) + max(1 + 1, 2 + 1) = 6.
TEST(Evaluate, MakespanAddsTheSlowestOfEachBarrier) {
  Scenario scenario = TwoByTwo();
  scenario.objective.delay = DelayMode::kMakespan;
  Decision all_server = kHalf;
  all_server.local_layers = 0;
  const Evaluation e = Evaluate(scenario, {kHalf, all_server});
  ASSERT_TRUE(e.feasible) << Rules(e);
  EXPECT_DOUBLE_EQ(e.delay_s, 6.0);
}

TEST(Evaluate, AllLocalScoresNothingAndSendsNothing) {
  Decision all_local = kHalf;
  all_local.local_layers = 2;
  const Evaluation e = Evaluate(TwoByTwo(), {all_local, kHalf});
  ASSERT_TRUE(e.feasible) << Rules(e);
  EXPECT_EQ(e.users[0].score, 0.0);
  EXPECT_EQ(e.users[0].delay_s.upload + e.users[0].delay_s.server + e.users[0].delay_s.download, 0);
  EXPECT_DOUBLE_EQ(e.users[0].energy_j.Sum(), 4.0);
}

TEST(Evaluate, ResourcesOfEmptyPhasesMayBeZero) {
  Decision all_server = kHalf;
  all_server.local_layers = 0;
  all_server.local_clock_hz = 0.0;
  Decision all_local{.server = 0, .local_layers = 2, .local_clock_hz = 1e9};
  const Evaluation e = Evaluate(TwoByTwo(), {all_server, all_local});
  EXPECT_TRUE(e.feasible) << Rules(e);
}

struct BrokenRule {
  const char* rule;
  void (*change)(Scenario*, Plan*);
};

TEST(Evaluate, NamesEveryBrokenRule) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const BrokenRule cases[] = {
      {"plan: must have one decision per user", [](Scenario*, Plan* p) { p->pop_back(); }},
      {"user u0: server must exist", [](Scenario*, Plan* p) { (*p)[0].server = 2; }},
      {"user u0: server must exist", [](Scenario*, Plan* p) { (*p)[0].server = -1; }},
      {"user u0: local_layers must be in 0..L",
       [](Scenario*, Plan* p) { (*p)[0].local_layers = 3; }},
      {"user u1: cannot reach server s1", [](Scenario*, Plan* p) { (*p)[1].server = 1; }},
      {"user u0: bandwidth_hz must be a number >= 0",
       [](Scenario*, Plan* p) { (*p)[0].bandwidth_hz = -1.0; }},
      {"user u0: tx_power_w must be a number >= 0",
       [](Scenario*, Plan* p) { (*p)[0].tx_power_w = kNan; }},
      {"user u0: server_clock_hz must be a number >= 0",
       [](Scenario*, Plan* p) {
         (*p)[0].server_clock_hz = std::numeric_limits<double>::infinity();
       }},
      {"user u0: local_clock_hz exceeds clock_hz_max",
       [](Scenario*, Plan* p) { (*p)[0].local_clock_hz *= 1.0 + 2e-9; }},
      {"user u0: tx_power_w exceeds tx_power_w_max",
       [](Scenario*, Plan* p) { (*p)[0].tx_power_w *= 1.0 + 2e-9; }},
      {"server s0: bandwidth_hz granted exceeds it",
       [](Scenario*, Plan* p) { (*p)[0].bandwidth_hz *= 1.0 + 3e-9; }},
      {"server s0: tx_power_w_max granted exceeds it",
       [](Scenario*, Plan* p) { (*p)[0].server_tx_power_w *= 1.0 + 3e-9; }},
      {"server s0: clock_hz_max granted exceeds it",
       [](Scenario*, Plan* p) { (*p)[0].server_clock_hz *= 1.0 + 3e-9; }},
      {"server s0: users exceed slots", [](Scenario* s, Plan*) { s->servers[0].slots = 1; }},
      {"user u0: the local phase never ends",
       [](Scenario*, Plan* p) { (*p)[0].local_clock_hz = 0.0; }},
      {"user u0: the upload phase never ends",
       [](Scenario*, Plan* p) { (*p)[0].tx_power_w = 0.0; }},
      {"user u0: the server phase never ends",
       [](Scenario*, Plan* p) { (*p)[0].server_clock_hz = 0.0; }},
      {"user u0: the download phase never ends",
       [](Scenario*, Plan* p) { (*p)[0].bandwidth_hz = 0.0; }},
      {"user u0: local_memory_bytes exceeds memory_bytes_max",
       [](Scenario* s, Plan*) { s->users[0].memory_bytes_max = 5.0; }},
      {"user u0: local_layers must be below L",
       [](Scenario* s, Plan* p) {
         s->objective.all_local_allowed = false;
         (*p)[0].local_layers = 2;
       }},
      {"plan: cost must be a number > 0", [](Scenario* s, Plan* p) {
         s->objective.delay_weight_per_s = 0.0;
         s->users[0].compute.kappa_w_per_hz3 = s->users[1].compute.kappa_w_per_hz3 = 0.0;
         (*p)[0].local_layers = (*p)[1].local_layers = 2;
       }}};
  for (const BrokenRule& broken : cases) {
    Scenario scenario = TwoByTwo();
    Plan plan{kHalf, kHalf};
    broken.change(&scenario, &plan);
    const Evaluation e = Evaluate(scenario, plan);
    EXPECT_FALSE(e.feasible) << broken.rule;
    EXPECT_THAT(Rules(e), HasSubstr(broken.rule));
  }
}

TEST(Evaluate, LimitsHoldToABillionth) {
  Plan plan{kHalf, kHalf};
  for (Decision& decision : plan) {
    decision.local_clock_hz *= 1.0 + 5e-10;
    decision.tx_power_w *= 1.0 + 5e-10;
    decision.bandwidth_hz *= 1.0 + 5e-10;
    decision.server_tx_power_w *= 1.0 + 5e-10;
    decision.server_clock_hz *= 1.0 + 5e-10;
  }
  plan[0].server_clock_hz = plan[1].server_clock_hz = 1e9;
  const Evaluation e = Evaluate(TwoByTwo(), plan);
  EXPECT_TRUE(e.feasible) << Rules(e);
}

TEST(Evaluate, AnInfeasiblePlanWithoutACostHasRatioZero) {
  Plan plan{kHalf, kHalf};
  plan[0].tx_power_w = 0.0;
  const Evaluation e = Evaluate(TwoByTwo(), plan);
  EXPECT_EQ(e.scr, 0.0);
  EXPECT_FALSE(std::isfinite(e.cost));
}

// r = b log2(1 + g p / (N0 b)) -> 0 as b -> 0, however large the ratio inside.
TEST(Evaluate, AVanishingBandwidthIsSlowAndNotFree) {
  Decision thin = kHalf;
  thin.bandwidth_hz = 1e-320;
  const Evaluation e = Evaluate(TwoByTwo(), {thin, kHalf});
  EXPECT_GT(e.users[0].delay_s.upload, 1e300);
}

// Scaling both weights scales the cost and leaves everything else: the plan's order is the same.
TEST(Evaluate, CostIsLinearInTheWeights) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Scenario scenario = *GenerateStudy(4, 1, {}, Rng(seed));
    Plan plan(4);
    for (std::size_t n = 0; n < 4; ++n) {
      plan[n] = {.server = 0,
                 .local_layers = static_cast<int>(n),
                 .local_clock_hz = scenario.users[n].compute.clock_hz_max,
                 .tx_power_w = 0.1,
                 .bandwidth_hz = 5e6,
                 .server_tx_power_w = 2.5,
                 .server_clock_hz = scenario.servers[0].compute.clock_hz_max / 4};
    }
    const Evaluation once = Evaluate(scenario, plan);
    ASSERT_TRUE(once.feasible) << "seed " << seed << ": " << Rules(once);
    scenario.objective.delay_weight_per_s *= 8.0;
    scenario.objective.energy_weight_per_j *= 8.0;
    const Evaluation scaled = Evaluate(scenario, plan);
    EXPECT_DOUBLE_EQ(scaled.cost, 8.0 * once.cost);
    EXPECT_DOUBLE_EQ(scaled.scr, once.scr / 8.0);
  }
}

}  // namespace
}  // namespace dashf
