#include "solvers/makespan_planner.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <optional>

#include "problem/evaluation.h"
#include "scenario/generator.h"
#include "solvers/exhaustive.h"
#include "solvers/makespan_starts.h"
#include "solvers/prices.h"
#include "solvers/resource_step.h"
#include "solvers/server_loads.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

double ScrOf(const Scenario& scenario, const Plan& plan) {
  const Evaluation evaluation = Evaluate(scenario, plan);
  EXPECT_TRUE(evaluation.feasible);
  return evaluation.scr;
}

Scenario Makespan(int users, int servers, std::uint64_t seed) {
  return testing::RandomScenario(
      {.users = users, .servers = servers, .layers = 6, .delay = DelayMode::kMakespan}, Rng(seed));
}

Scenario Study(int users, int servers, std::uint64_t seed) {
  GeneratorOptions options;
  options.delay = DelayMode::kMakespan;
  return GenerateStudy(users, servers, options, Rng(seed), std::nullopt).value();
}

// Corners: free energy or delay, zero columns, weak gains, tight memory, sparse links, slots.
TEST(MakespanPlans, AreNeverWorseThanAnyOtherMethods) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Scenario scenario = testing::RandomScenario({.users = 1 + static_cast<int>(seed % 7),
                                                       .servers = 1 + static_cast<int>(seed % 3),
                                                       .layers = 3,
                                                       .delay = DelayMode::kMakespan,
                                                       .all_local_allowed = seed % 5 == 0,
                                                       .corners = seed % 2 == 0},
                                                      Rng(seed));
    if (!Validate(scenario)) continue;
    const auto found = SolvePrices(scenario, {.seed = seed, .on_iteration = {}});
    ASSERT_TRUE(found.has_value()) << found.error().Text();
    const double scr = ScrOf(scenario, found->plan);
    for (const Method& method : Methods()) {
      if (method.name == "exhaustive" || method.name == "prices") continue;
      const auto other = method.solve(scenario, {.seed = seed, .on_iteration = {}});
      if (!other) continue;
      EXPECT_GE(scr, ScrOf(scenario, other->plan) * (1 - 1e-6)) << method.name << ", seed " << seed;
    }
  }
}

// The default study, with more users than DASHF's own plan is asked for.
TEST(MakespanPlans, AreFarAboveDashfsWhereUsersAreMany) {
  const Scenario scenario = Study(64, 4, 1);
  const auto found = SolvePrices(scenario, {.on_iteration = {}});
  const auto hull = FindMethod("dashf-hull")->solve(scenario, {.on_iteration = {}});
  ASSERT_TRUE(found.has_value() && hull.has_value());
  EXPECT_GT(ScrOf(scenario, found->plan), 1.05 * ScrOf(scenario, hull->plan));
}

// Users and servers of two worlds that nothing but the barriers joins.
Scenario Together(const Scenario& one, const Scenario& other) {
  Scenario both = one;
  const auto servers = static_cast<int>(one.servers.size());
  const auto profiles = static_cast<int>(one.profiles.size());
  for (User user : other.users) {
    user.id += "'";
    user.profile += profiles;
    both.users.push_back(user);
  }
  for (Server server : other.servers) {
    server.id += "'";
    both.servers.push_back(server);
  }
  for (SplitProfile profile : other.profiles) {
    profile.name += "'";
    both.profiles.push_back(profile);
  }
  for (std::vector<Link> links : other.links) {
    for (Link& link : links) link.server += servers;
    both.links.push_back(links);
  }
  return both;
}

// Moves of one user never lead from one to the other of a barrier's basins.
TEST(MakespanPlans, AreNoWorseThanTwoHalvesPlannedApart) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const testing::RandomScenarioOptions options{.users = 4,
                                                 .servers = 3,
                                                 .layers = 1 + static_cast<int>(seed % 2),
                                                 .delay = DelayMode::kMakespan,
                                                 .all_local_allowed = true};
    const Scenario half = testing::RandomScenario(options, Rng(seed));
    const Scenario both = Together(half, half);
    const auto apart = SolvePrices(half, {.on_iteration = {}});
    const auto together = SolvePrices(both, {.on_iteration = {}});
    ASSERT_TRUE(apart.has_value() && together.has_value());
    Plan joined = apart->plan;
    for (Decision decision : apart->plan) {
      decision.server += static_cast<int>(half.servers.size());
      joined.push_back(decision);
    }
    EXPECT_GE(ScrOf(both, together->plan), ScrOf(both, joined) * (1 - 1e-6)) << "seed " << seed;
  }
}

TEST(MakespanPlans, AreTheBestThereAreInSmallScenarios) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Scenario scenario = testing::RandomScenario({.users = 5,
                                                 .servers = 2,
                                                 .layers = 1 + static_cast<int>(seed % 2),
                                                 .delay = DelayMode::kMakespan,
                                                 .all_local_allowed = seed % 3 != 0},
                                                Rng(seed));
    if (seed % 4 == 0) scenario.servers.back().slots = static_cast<int>(seed / 4 - 1);
    const auto found = SolvePrices(scenario, {.on_iteration = {}});
    const auto best = SolveExhaustive(scenario, {.on_iteration = {}});
    ASSERT_TRUE(found.has_value() && best.has_value());
    EXPECT_GE(ScrOf(scenario, found->plan), ScrOf(scenario, best->plan) * (1 - 1e-6)) << seed;
  }
}

// One search does both; slower is then always a little better, so that they end somewhat apart.
TEST(MakespanPlans, AreLikeThoseOfTheTotalDelayWhereDelayIsFree) {
  Scenario scenario = Makespan(4, 2, 1);
  scenario.objective.delay_weight_per_s = 0.0;
  Scenario sum = scenario;
  sum.objective.delay = DelayMode::kSum;
  const auto found = SolvePrices(scenario, {.wants_bound = true, .on_iteration = {}});
  const auto like = SolvePrices(sum, {.on_iteration = {}});
  ASSERT_TRUE(found.has_value() && like.has_value());
  ASSERT_TRUE(found->certificate.has_value());
  EXPECT_EQ(found->certificate->boxes.front().user_phase_weight_per_s.size(), 4);
  const double scr = ScrOf(sum, like->plan);
  EXPECT_NEAR(ScrOf(scenario, found->plan), scr, 0.05 * scr);
}

TEST(MakespanPlans, OfLinksThatCarryNextToNothingComeWithoutABound) {
  Scenario scenario = Makespan(4, 2, 1);
  for (auto& links : scenario.links) {
    for (Link& link : links) link.gain = 5e-324;
  }
  const auto found = SolvePrices(scenario, {.wants_bound = true, .on_iteration = {}});
  EXPECT_TRUE(!found || !found->certificate || found->certificate->scr_upper > 0.0);
}

TEST(MakespanPlans, HardlyDependOnTheOrderOfTheUsers) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Scenario scenario = Makespan(70, 4, seed);
    Scenario turned = scenario;
    std::reverse(turned.users.begin(), turned.users.end());
    std::reverse(turned.links.begin(), turned.links.end());
    const auto one = SolvePrices(scenario, {.on_iteration = {}});
    const auto other = SolvePrices(turned, {.on_iteration = {}});
    ASSERT_TRUE(one.has_value() && other.has_value());
    const double scr = ScrOf(scenario, one->plan);
    EXPECT_NEAR(ScrOf(turned, other->plan), scr, 2e-3 * scr) << "seed " << seed;
  }
}

TEST(MakespanPlans, AreTheSameForAnyNumberOfThreads) {
  const Scenario scenario = Makespan(90, 5, 2);
  const auto one = SolvePrices(scenario, {.threads = 1, .on_iteration = {}});
  const auto three = SolvePrices(scenario, {.threads = 3, .on_iteration = {}});
  ASSERT_TRUE(one.has_value() && three.has_value());
  for (std::size_t n = 0; n < one->plan.size(); ++n) {
    EXPECT_EQ(one->plan[n].server, three->plan[n].server);
    EXPECT_EQ(one->plan[n].local_layers, three->plan[n].local_layers);
    EXPECT_EQ(one->plan[n].server_clock_hz, three->plan[n].server_clock_hz);
  }
}

TEST(MakespanPlans, FillSlotsThatAreExactlyEnough) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Scenario scenario = Makespan(6, 3, seed);
    for (Server& server : scenario.servers) server.slots = 2;
    const auto found = SolvePrices(scenario, {.on_iteration = {}});
    ASSERT_TRUE(found.has_value());
    EXPECT_GT(ScrOf(scenario, found->plan), 0.0);
    scenario.servers.front().slots = 1;
    const auto none = SolvePrices(scenario, {.on_iteration = {}});
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().kind, ErrorKind::kInfeasible);
  }
}

TEST(MakespanPlans, EndFeasibleWhenTheirTimeIsUp) {
  const Scenario scenario = Makespan(300, 20, 1);
  for (const double limit_s : {1e-9, 1e-2}) {
    const auto found = SolvePrices(scenario, {.time_limit_s = limit_s, .on_iteration = {}});
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->termination, Termination::kTimeLimit);
    EXPECT_GT(ScrOf(scenario, found->plan), 0.0);
  }
}

TEST(MakespanPlans, ComeWithABoundOnlyWhereItIsWanted) {
  const Scenario scenario = Makespan(4, 2, 1);
  const auto plain = SolvePrices(scenario, {.on_iteration = {}});
  const auto bounded =
      SolvePrices(scenario, {.gap_target = 0.2, .wants_bound = true, .on_iteration = {}});
  ASSERT_TRUE(plain.has_value() && bounded.has_value());
  EXPECT_FALSE(plain->certificate.has_value());
  EXPECT_EQ(plain->termination, Termination::kStalled);
  ASSERT_TRUE(bounded->certificate.has_value());
  EXPECT_GE(bounded->certificate->scr_upper, ScrOf(scenario, plain->plan));
}

}  // namespace

namespace internal {
namespace {

// All associations of the same users to the same splits.
double LeastLongestS(const Columns& columns,
                     const std::vector<float>& busy_s,
                     std::size_t user,
                     const ScrProblem& problem,
                     std::vector<double>* load_s) {
  if (user + 1 == columns.begin.size()) return *std::max_element(load_s->begin(), load_s->end());
  double least = std::numeric_limits<double>::infinity();
  for (int c = columns.begin[user]; c < columns.begin[user + 1]; ++c) {
    const auto i = static_cast<std::size_t>(c);
    double& load = (*load_s)[static_cast<std::size_t>(columns.ChoiceOf(problem, i).server)];
    load += busy_s[i];
    least = std::min(least, LeastLongestS(columns, busy_s, user + 1, problem, load_s));
    load -= busy_s[i];
  }
  return least;
}

TEST(ServerLoads, AreNearlyAsLevelAsTheyCanBe) {
  double over = 0.0;
  constexpr int kScenarios = 40;
  for (std::uint64_t seed = 1; seed <= kScenarios; ++seed) {
    Rng rng(seed);
    const Scenario scenario = testing::RandomScenario(
        {.users = 8, .servers = 3, .layers = 1, .all_local_allowed = false}, rng.Stream("s"));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Columns columns = MakeColumns(problem, false);
    std::vector<float> busy_s;
    std::vector<std::vector<int>> choices(8);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      busy_s.push_back(static_cast<float>(rng.Uniform(1.0, 3.0)));
      choices[static_cast<std::size_t>(columns.user[c])].push_back(static_cast<int>(c));
    }
    ServerLoads loads(problem, columns, busy_s, choices, 8);
    ASSERT_TRUE(loads.Fill());
    const double filled_s = loads.LongestS();
    loads.Level();
    std::vector<double> load_s(3, 0.0);
    const double least_s = LeastLongestS(columns, busy_s, 0, problem, &load_s);
    EXPECT_LE(loads.LongestS(), filled_s);
    EXPECT_GE(loads.LongestS(), least_s * (1 - 1e-6)) << "seed " << seed;
    over += loads.LongestS() / least_s - 1.0;
  }
  EXPECT_LE(over / kScenarios, 0.1);
}

TEST(MakespanStarts, PromiseAboutWhatTheResourceStepThenBrings) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const ScrProblem problem = MakeScrProblem(Study(40, 4, seed)).value();
    const Columns columns = MakeColumns(problem, false);
    const auto best = MakespanStarts(problem, columns).Best(3, 1, [] { return false; });
    ASSERT_FALSE(best.empty());
    Association association;
    for (const int c : best.front().column_of_user) {
      association.push_back(columns.ChoiceOf(problem, static_cast<std::size_t>(c)));
    }
    EXPECT_TRUE(IsAdmissible(problem, association));
    const double scr = MaximizeScrForAssociation(problem, association).scr;
    EXPECT_NEAR(best.front().scr, scr, 0.05 * scr) << "seed " << seed;
  }
}

}  // namespace
}  // namespace internal
}  // namespace dashf::solvers
