#include "solvers/prices.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "problem/evaluation.h"
#include "solvers/baselines.h"
#include "solvers/exhaustive.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

double ScrOf(const Scenario& scenario, const Plan& plan) {
  const Evaluation evaluation = Evaluate(scenario, plan);
  EXPECT_TRUE(evaluation.feasible);
  return evaluation.scr;
}

// Exhaustive search is the reference; a local optimum may miss it by a little now and then.
TEST(Prices, EndAtTheOptimumOfNearlyAllSmallScenariosAndBoundItAlways) {
  int missed = 0;
  double lost = 0.0;
  constexpr int kScenarios = 60;
  for (std::uint64_t seed = 1; seed <= kScenarios; ++seed) {
    const Scenario scenario = testing::RandomScenario({.users = 3 + static_cast<int>(seed % 3),
                                                       .servers = 2 + static_cast<int>(seed % 2),
                                                       .layers = 3,
                                                       .all_local_allowed = seed % 3 == 0},
                                                      Rng(seed));
    const auto best = SolveExhaustive(scenario, {.on_iteration = {}});
    const auto found = SolvePrices(scenario, {.gap_target = 0.0, .on_iteration = {}});
    ASSERT_TRUE(best.has_value() && found.has_value());
    const double optimum = ScrOf(scenario, best->plan), scr = ScrOf(scenario, found->plan);
    ASSERT_TRUE(found->certificate.has_value());
    EXPECT_GE(found->certificate->scr_upper, optimum * (1 - 1e-7)) << "seed " << seed;
    EXPECT_LE(scr, optimum * (1 + 1e-6)) << "seed " << seed;
    missed += scr < optimum * (1 - 1e-6);
    lost += 1.0 - scr / optimum;
  }
  EXPECT_LE(missed, kScenarios / 20);
  EXPECT_LE(lost / kScenarios, 1e-3);
}

// Corners: free energy or delay, zero columns, weak gains, tight memory, sparse links, slots.
TEST(Prices, AreNeverWorseThanAnyOtherMethodNorAboveTheirBound) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const Scenario scenario = testing::RandomScenario({.users = 1 + static_cast<int>(seed % 12),
                                                       .servers = 1 + static_cast<int>(seed % 4),
                                                       .layers = 3,
                                                       .all_local_allowed = seed % 5 == 0,
                                                       .corners = seed % 2 == 0},
                                                      Rng(seed));
    if (!Validate(scenario)) continue;
    const auto found = SolvePrices(scenario, {.seed = seed, .gap_target = 0.0, .on_iteration = {}});
    ASSERT_TRUE(found.has_value()) << found.error().Text();
    const double scr = ScrOf(scenario, found->plan);
    ASSERT_TRUE(found->certificate.has_value());
    EXPECT_LE(scr, found->certificate->scr_upper * (1 + 1e-7)) << "seed " << seed;
    for (const Method& method : Methods()) {
      if (method.name == "exhaustive" || method.name == "prices") continue;
      const auto other = method.solve(scenario, {.seed = seed, .on_iteration = {}});
      if (!other) continue;
      const double other_scr = ScrOf(scenario, other->plan);
      EXPECT_GE(scr, other_scr * (1 - 1e-6)) << method.name << ", seed " << seed;
      EXPECT_LE(other_scr, found->certificate->scr_upper * (1 + 1e-7)) << method.name;
    }
  }
}

// The gap falls with the number of users: fewer of them are split between servers.
TEST(Prices, ComeWithinTheGapTargetWhereUsersAreMany) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Scenario scenario =
        testing::RandomScenario({.users = 120, .servers = 6, .layers = 6}, Rng(seed));
    constexpr double kTarget = 1e-3;
    const auto found = SolvePrices(scenario, {.gap_target = kTarget, .on_iteration = {}});
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->termination, Termination::kConverged);
    const double upper = found->certificate.value().scr_upper;
    EXPECT_GE(ScrOf(scenario, found->plan), upper * (1 - kTarget) * (1 - 1e-9));
  }
}

TEST(Prices, GiveTheSamePlanForAnyNumberOfThreads) {
  const Scenario scenario = testing::RandomScenario({.users = 600, .servers = 8}, Rng(2));
  const auto one = SolvePrices(scenario, {.threads = 1, .on_iteration = {}});
  const auto three = SolvePrices(scenario, {.threads = 3, .on_iteration = {}});
  ASSERT_TRUE(one.has_value() && three.has_value());
  for (std::size_t n = 0; n < one->plan.size(); ++n) {
    EXPECT_EQ(one->plan[n].server, three->plan[n].server);
    EXPECT_EQ(one->plan[n].bandwidth_hz, three->plan[n].bandwidth_hz);
    EXPECT_EQ(one->plan[n].server_clock_hz, three->plan[n].server_clock_hz);
  }
}

TEST(Prices, ComeNearTheMakespanOptimumOfSmallScenarios) {
  double lost = 0.0;
  constexpr int kScenarios = 12;
  for (std::uint64_t seed = 1; seed <= kScenarios; ++seed) {
    const Scenario scenario = testing::RandomScenario(
        {.users = 4, .layers = 3, .delay = DelayMode::kMakespan}, Rng(seed));
    const auto best = SolveExhaustive(scenario, {.on_iteration = {}});
    const auto found =
        SolvePrices(scenario, {.gap_target = 0.1, .wants_bound = true, .on_iteration = {}});
    ASSERT_TRUE(best.has_value() && found.has_value());
    const double ratio = ScrOf(scenario, found->plan) / ScrOf(scenario, best->plan);
    EXPECT_LE(ratio, 1 + 1e-6) << "seed " << seed;
    const double upper = found->certificate.value().scr_upper;
    EXPECT_GE(upper, ScrOf(scenario, best->plan) * (1 - 1e-6)) << "seed " << seed;
    lost += 1.0 - ratio;
  }
  EXPECT_LE(lost / kScenarios, 5e-3);
}

TEST(Prices, PlanWhereSlotsAreExactlyEnoughAndWhereGainsAreEqual) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Scenario scenario = testing::RandomScenario({.users = 6, .servers = 3}, Rng(seed));
    for (Server& server : scenario.servers) server.slots = 2;
    if (seed % 2 == 0) {
      for (auto& links : scenario.links) {
        for (Link& link : links) link.gain = 1e-9;
      }
    }
    const auto found = SolvePrices(scenario, {.on_iteration = {}});
    ASSERT_TRUE(found.has_value());
    EXPECT_GT(ScrOf(scenario, found->plan), 0.0);
  }
}

TEST(Prices, RefuseAUserWhoseLinksCarryNothing) {
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    Scenario scenario = testing::RandomScenario({.users = 3, .delay = delay}, Rng(1));
    for (Link& link : scenario.links[1]) link.gain = 5e-324;
    const auto refused = SolvePrices(scenario, {.wants_bound = true, .on_iteration = {}});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ErrorKind::kInfeasible);
    EXPECT_THAT(refused.error().Text(), ::testing::HasSubstr("user u1"));
  }
}

// What a change of one user gains is what the markets say once they are cleared finely: where they
// hardly clear, for numbers near the ends of what a double holds, moves end all the same.
TEST(Prices, EndWhereNumbersAreAtTheEndsOfWhatADoubleHolds) {
  const std::function<void(Scenario&)> changes[] = {
      [](Scenario& s) { s.noise_density_w_per_hz = 5e-324; },
      [](Scenario& s) { s.users[0].compute.clock_hz_max = 1e-300; }};
  const auto check = [](const Scenario& scenario) {
    const auto found = SolvePrices(scenario, {.wants_bound = true, .on_iteration = {}});
    ASSERT_TRUE(found.has_value()) << found.error().Text();
    for (const SolveFunction solve : {SolveGreedy, SolveRandom, SolveAssociationOnly}) {
      const auto other = solve(scenario, {.on_iteration = {}});
      ASSERT_TRUE(other.has_value()) << other.error().Text();
      EXPECT_GE(ScrOf(scenario, found->plan), ScrOf(scenario, other->plan) * (1.0 - 1e-9));
    }
    EXPECT_TRUE(!found->certificate || std::isfinite(found->certificate->scr_upper));
  };
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    const Scenario plain =
        testing::RandomScenario({.users = 3, .servers = 2, .layers = 3, .delay = delay}, Rng(1));
    for (const auto& change : changes) {
      Scenario scenario = plain;
      change(scenario);
      check(scenario);
    }
    for (const double gain : {1e-170, 1e-300, 1e308}) {
      Scenario scenario = plain;
      for (auto& links : scenario.links) {
        for (Link& link : links) link.gain = gain;
      }
      check(scenario);
    }
  }
}

TEST(Prices, EndWithAFeasiblePlanWhenTheirTimeIsUp) {
  const Scenario roomy = testing::RandomScenario({.users = 300, .servers = 20}, Rng(1));
  Scenario tight = roomy;  // Not everyone finds room at its strongest server.
  for (Server& server : tight.servers) server.slots = 15;
  for (const Scenario& scenario : {roomy, tight}) {
    for (const double limit_s : {1e-9, 1e-2}) {
      const auto found =
          SolvePrices(scenario, {.time_limit_s = limit_s, .gap_target = 0.0, .on_iteration = {}});
      ASSERT_TRUE(found.has_value());
      EXPECT_EQ(found->termination, Termination::kTimeLimit);
      EXPECT_GT(ScrOf(scenario, found->plan), 0.0);
    }
  }
}

}  // namespace
}  // namespace dashf::solvers
