#include "solvers/warm_start.h"

#include <gmock/gmock.h>

#include "problem/evaluation.h"
#include "solvers/prices.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

NamedPlan Named(const Scenario& scenario, const SolveResult& solved) {
  NamedPlan named;
  for (const User& user : scenario.users) named.users.push_back(user.id);
  for (const Server& server : scenario.servers) named.servers.push_back(server.id);
  named.document.plan = solved.plan;
  named.document.prices = solved.certificate.value().boxes.front().servers;
  return named;
}

double ScrOf(const Scenario& scenario, const Plan& plan) {
  const Evaluation evaluation = Evaluate(scenario, plan);
  EXPECT_TRUE(evaluation.feasible);
  return evaluation.scr;
}

// One user in twenty takes the place of another.
Scenario Moved(Scenario scenario) {
  for (std::size_t n = 0; n + 1 < scenario.users.size(); n += 20) {
    scenario.links[n] = scenario.links[n + 1];
  }
  return scenario;
}

Scenario WithoutFirstServer(Scenario scenario) {
  scenario.servers.erase(scenario.servers.begin());
  for (auto& links : scenario.links) {
    links.erase(links.begin());
    for (Link& link : links) --link.server;
  }
  return scenario;
}

TEST(WarmStart, FromTheSameScenariosPlanChangesNoServerAndLosesNothing) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const Scenario scenario =
        testing::RandomScenario({.users = 80, .servers = 5, .layers = 4}, Rng(seed));
    const auto before = SolvePrices(scenario, {.gap_target = 1e-3, .on_iteration = {}});
    ASSERT_TRUE(before.has_value());
    const auto standing = MatchPlan(Named(scenario, *before), scenario);
    ASSERT_TRUE(standing.has_value());
    const auto after =
        SolvePrices(scenario, {.gap_target = 1e-3, .on_iteration = {}, .from = &*standing});
    ASSERT_TRUE(after.has_value());
    EXPECT_EQ(Handovers(*standing, after->plan), 0) << "seed " << seed;
    EXPECT_GE(ScrOf(scenario, after->plan), ScrOf(scenario, before->plan) * (1 - 1e-9));
  }
}

TEST(WarmStart, EndsAsNearTheBoundAsPlanningAfresh) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Scenario scenario =
        testing::RandomScenario({.users = 120, .servers = 6, .layers = 4}, Rng(seed));
    const auto before = SolvePrices(scenario, {.gap_target = 1e-3, .on_iteration = {}});
    ASSERT_TRUE(before.has_value());
    for (const Scenario& now : {Moved(scenario), WithoutFirstServer(scenario)}) {
      const auto standing = MatchPlan(Named(scenario, *before), now);
      ASSERT_TRUE(standing.has_value());
      const auto warm =
          SolvePrices(now, {.gap_target = 1e-3, .on_iteration = {}, .from = &*standing});
      const auto afresh = SolvePrices(now, {.gap_target = 1e-3, .on_iteration = {}});
      ASSERT_TRUE(warm.has_value() && afresh.has_value());
      EXPECT_NEAR(ScrOf(now, warm->plan) / ScrOf(now, afresh->plan), 1.0, 1.5e-3)
          << "seed " << seed;
      EXPECT_GE(warm->certificate.value().scr_upper, ScrOf(now, afresh->plan) * (1 - 1e-7));
    }
  }
}

// The penalty exceeds what any user can score, and no slot limit drives anyone away.
TEST(WarmStart, UnderALargePenaltyNobodyWhoCanStayMoves) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Scenario scenario =
        testing::RandomScenario({.users = 60, .servers = 4, .layers = 4}, Rng(seed));
    const auto before = SolvePrices(scenario, {.gap_target = 1e-3, .on_iteration = {}});
    ASSERT_TRUE(before.has_value());
    for (const Scenario& now : {Moved(scenario), WithoutFirstServer(scenario)}) {
      const auto standing = MatchPlan(Named(scenario, *before), now);
      ASSERT_TRUE(standing.has_value());
      const auto warm = SolvePrices(
          now,
          {.gap_target = 0.0, .on_iteration = {}, .from = &*standing, .handover_penalty = 1e3});
      ASSERT_TRUE(warm.has_value());
      EXPECT_EQ(Handovers(*standing, warm->plan), 0) << "seed " << seed;
      EXPECT_GT(ScrOf(now, warm->plan), 0.0);
    }
  }
}

TEST(WarmStart, DoesWithoutPricesAndWithUsersWhoCameAndWent) {
  const Scenario scenario = testing::RandomScenario({.users = 30, .servers = 3}, Rng(5));
  const auto before = SolvePrices(scenario, {.on_iteration = {}});
  ASSERT_TRUE(before.has_value());
  NamedPlan named = Named(scenario, *before);
  named.document.prices.clear();
  for (std::size_t n = 0; n < 10; ++n) named.users[n] = "gone" + std::to_string(n);
  const auto standing = MatchPlan(named, scenario);
  ASSERT_TRUE(standing.has_value());
  EXPECT_EQ(standing->users_kept, 20);
  EXPECT_EQ(standing->users_new, 10);
  EXPECT_EQ(standing->users_gone, 10);
  const auto warm = SolvePrices(scenario, {.on_iteration = {}, .from = &*standing});
  ASSERT_TRUE(warm.has_value());
  EXPECT_GE(ScrOf(scenario, warm->plan), 0.99 * ScrOf(scenario, before->plan));
}

}  // namespace
}  // namespace dashf::solvers
