#include "solvers/method.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "problem/evaluation.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

constexpr DelayMode kModes[] = {DelayMode::kSum, DelayMode::kMakespan};

TEST(Methods, HaveNamesOfTheirOwnAndAreFoundByThem) {
  std::set<std::string_view> names;
  for (const Method& method : Methods()) {
    EXPECT_TRUE(names.insert(method.name).second) << method.name;
    ASSERT_NE(FindMethod(method.name), nullptr);
    EXPECT_EQ(FindMethod(method.name)->solve, method.solve);
  }
  EXPECT_EQ(FindMethod("no such method"), nullptr);
}

// What every method owes its caller, on corners of the model too.
TEST(Methods, GiveFeasiblePlansThatTheSeedAloneDecides) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    const Scenario scenario = testing::RandomScenario({.users = 1 + static_cast<int>(seed % 4),
                                                       .layers = 2,
                                                       .delay = kModes[seed % 2],
                                                       .all_local_allowed = seed % 3 == 0,
                                                       .corners = seed % 4 < 2},
                                                      Rng(seed));
    ASSERT_TRUE(Validate(scenario).has_value()) << "seed " << seed;
    for (const Method& method : Methods()) {
      const auto solved = method.solve(scenario, {.seed = seed, .on_iteration = {}});
      if (!solved) {
        EXPECT_TRUE(method.name == "all-local" || method.name == "all-server")
            << method.name << ", seed " << seed << ": " << solved.error().Text();
        continue;
      }
      const Evaluation evaluation = Evaluate(scenario, solved->plan);
      EXPECT_TRUE(evaluation.feasible) << method.name << ", seed " << seed;
      ASSERT_FALSE(solved->history.empty()) << method.name;
      EXPECT_NEAR(solved->history.back().scr, evaluation.scr, 1e-9 * (1 + evaluation.scr))
          << method.name << ", seed " << seed;
      const auto again = method.solve(scenario, {.seed = seed, .on_iteration = {}});
      ASSERT_TRUE(again.has_value());
      for (std::size_t n = 0; n < solved->plan.size(); ++n) {
        EXPECT_EQ(again->plan[n].server, solved->plan[n].server) << method.name;
        EXPECT_EQ(again->plan[n].local_layers, solved->plan[n].local_layers) << method.name;
        EXPECT_EQ(again->plan[n].bandwidth_hz, solved->plan[n].bandwidth_hz) << method.name;
      }
    }
  }
}

// Whoever has no limit but will not wait: from a callback here, from a signal's handler elsewhere.
TEST(Methods, EndWithWhatTheyHaveWhereSearchesAreStopped) {
  for (const DelayMode delay : kModes) {
    const Scenario scenario =
        testing::RandomScenario({.users = 8, .servers = 3, .layers = 4, .delay = delay}, Rng(5));
    for (const std::string_view name : {"prices", "dashf"}) {
      int rows = 0;
      const SolveOptions options{.time_limit_s = 10.0 * kNeverS,
                                 .gap_target = 0.0,
                                 .wants_bound = true,
                                 .on_iteration = [&](const IterationRecord&) {
                                   if (++rows == 1) StopSearches();
                                 }};
      const auto stopped = FindMethod(name)->solve(scenario, options);
      ASSERT_TRUE(stopped.has_value()) << name << ": " << stopped.error().Text();
      EXPECT_EQ(stopped->termination, Termination::kTimeLimit) << name;
      EXPECT_TRUE(Evaluate(scenario, stopped->plan).feasible) << name;
      EXPECT_TRUE(std::isfinite(stopped->history.back().elapsed_s)) << name;
    }
  }
  const Stopwatch watch;  // What begins later is not concerned.
  EXPECT_TRUE(std::isfinite(watch.ElapsedS()));
}

TEST(Methods, EndWhereTheirOwnStopIsInForceAndNowhereElse) {
  const Scenario scenario =
      testing::RandomScenario({.users = 8, .servers = 3, .layers = 4}, Rng(5));
  OwnStop stop;
  std::optional<Termination> stopped;
  std::thread own([&] {
    stop_in_force = &stop;
    const SolveOptions options{.time_limit_s = 10.0 * kNeverS,
                               .gap_target = 0.0,
                               .threads = 2,
                               .on_iteration = [&](const IterationRecord&) { stop.Stop(); }};
    if (const auto solved = FindMethod("prices")->solve(scenario, options)) {
      stopped = solved->termination;
    }
  });
  const Stopwatch watch;
  own.join();
  EXPECT_EQ(stopped, Termination::kTimeLimit);
  EXPECT_TRUE(std::isfinite(watch.ElapsedS()));  // On this thread it is not.
}

TEST(Methods, NeverBeatTheOracle) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Scenario scenario =
        testing::RandomScenario({.users = 3, .layers = 2, .delay = kModes[seed % 2]}, Rng(seed));
    const auto best = FindMethod("exhaustive")->solve(scenario, {.seed = seed, .on_iteration = {}});
    ASSERT_TRUE(best.has_value()) << best.error().Text();
    const double scr = Evaluate(scenario, best->plan).scr;
    for (const Method& method : Methods()) {
      const auto solved = method.solve(scenario, {.seed = seed, .on_iteration = {}});
      if (!solved) continue;
      EXPECT_LE(Evaluate(scenario, solved->plan).scr, scr * (1 + 1e-6))
          << method.name << ", seed " << seed;
    }
  }
}

TEST(Methods, ReportEveryIterationToTheCallback) {
  const Scenario scenario = testing::RandomScenario({.users = 3, .layers = 2}, Rng(1));
  for (const Method& method : Methods()) {
    int rows = 0;
    const auto solved =
        method.solve(scenario, {.on_iteration = [&rows](const IterationRecord&) { ++rows; }});
    if (!solved) continue;
    EXPECT_EQ(rows, static_cast<int>(solved->history.size())) << method.name;
  }
}

}  // namespace
}  // namespace dashf::solvers
