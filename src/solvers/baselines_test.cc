#include "solvers/baselines.h"

#include <gmock/gmock.h>

#include "problem/evaluation.h"
#include "solvers/best_splits.h"
#include "solvers/resource_step.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

double Scr(const Scenario& scenario, SolveFunction solve) {
  return Evaluate(scenario, solve(scenario, {.on_iteration = {}}).value().plan).scr;
}

TEST(Greedy, TakesTheStrongestServerWhereSlotsDoNotBind) {
  const Scenario scenario = testing::RandomScenario({.users = 8, .servers = 3}, Rng(1));
  const Plan plan = SolveGreedy(scenario, {.on_iteration = {}}).value().plan;
  for (std::size_t n = 0; n < plan.size(); ++n) {
    for (const Link& link : scenario.links[n]) {
      const auto chosen = static_cast<std::size_t>(plan[n].server);
      EXPECT_LE(link.gain, scenario.links[n][chosen].gain);
    }
  }
}

TEST(Greedy, KeepsToSlots) {
  Scenario scenario = testing::RandomScenario({.users = 6, .servers = 2}, Rng(2));
  scenario.servers[0].slots = 3;
  scenario.servers[1].slots = 3;
  const Plan plan = SolveGreedy(scenario, {.on_iteration = {}}).value().plan;
  EXPECT_EQ(
      std::count_if(plan.begin(), plan.end(), [](const Decision& d) { return d.server == 0; }), 3);
}

TEST(RandomAssociation, UsesEveryServerAndChangesWithTheSeed) {
  const Scenario scenario = testing::RandomScenario({.users = 40, .servers = 4}, Rng(3));
  std::vector<int> count(4, 0);
  int changed = 0;
  const Plan first = SolveRandom(scenario, {.seed = 1, .on_iteration = {}}).value().plan;
  const Plan second = SolveRandom(scenario, {.seed = 2, .on_iteration = {}}).value().plan;
  for (std::size_t n = 0; n < first.size(); ++n) {
    ++count[static_cast<std::size_t>(first[n].server)];
    changed += first[n].server != second[n].server;
  }
  for (const int users : count) EXPECT_GE(users, 2);  // Binomial(40, 1/4): below 2 with p < 2e-4.
  EXPECT_GE(changed, 15);                             // Expected 30.
}

TEST(Baselines, OptimisingOnePartNeverHurtsGreedy) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Scenario scenario = testing::RandomScenario(
        {.users = 6, .delay = seed % 2 == 0 ? DelayMode::kSum : DelayMode::kMakespan}, Rng(seed));
    const double greedy = Scr(scenario, SolveGreedy);
    EXPECT_GE(Scr(scenario, SolveAssociationOnly), greedy * (1 - 1e-12));
    EXPECT_GE(Scr(scenario, SolveResourceOnly), greedy * (1 - 1e-12));
  }
}

// Users who answer for themselves alone: in sum mode with one user per server the best split is
// the best of the table.
TEST(BestSplits, AreTheTablesBestForAUserAlone) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Scenario scenario =
        testing::RandomScenario({.users = 1, .servers = 1, .layers = 8}, Rng(seed));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Association found = BestSplits(problem, {0});
    const auto scr = [&](int k) { return Evaluate(scenario, EqualShares(problem, {{0, k}})).scr; };
    for (const int k : problem.split_layers) EXPECT_LE(scr(k), scr(found[0].local_layers) + 1e-12);
  }
}

TEST(AllLocal, IsRefusedInOneSentenceWhereItIsNotAllowed) {
  Scenario scenario = testing::RandomScenario({.all_local_allowed = false}, Rng(1));
  const auto refused = SolveAllLocal(scenario, {.on_iteration = {}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::kUsage);
  scenario.objective.all_local_allowed = true;
  scenario.users[2].memory_bytes_max = 1.5e9;  // Holds k = 0 alone.
  const auto forbidden = SolveAllLocal(scenario, {.on_iteration = {}});
  ASSERT_FALSE(forbidden.has_value());
  EXPECT_EQ(forbidden.error().kind, ErrorKind::kInfeasible);
  EXPECT_THAT(forbidden.error().Text(), ::testing::HasSubstr("u2"));
}

// Nothing is granted, so nothing scores; the clock is sum mode's closed form.
TEST(AllLocal, CostsWhatTheClosedFormSays) {
  const Scenario scenario =
      testing::RandomScenario({.users = 3, .all_local_allowed = true}, Rng(4));
  const Evaluation evaluation =
      Evaluate(scenario, SolveAllLocal(scenario, {.on_iteration = {}}).value().plan);
  double cost = 0.0;
  for (const User& user : scenario.users) {
    const Objective& objective = scenario.objective;
    const double f =
        std::min(user.compute.clock_hz_max,
                 std::cbrt(objective.delay_weight_per_s /
                           (2 * objective.energy_weight_per_j * user.compute.kappa_w_per_hz3)));
    const double cycle = scenario.ProfileOf(user).local_flop.back() / user.compute.flop_per_cycle;
    cost += objective.delay_weight_per_s * cycle / f +
            objective.energy_weight_per_j * user.compute.kappa_w_per_hz3 * f * f * cycle;
  }
  EXPECT_EQ(evaluation.score, 0.0);
  EXPECT_NEAR(evaluation.cost / cost, 1.0, 1e-12);
}

}  // namespace
}  // namespace dashf::solvers
