#include "certificate/branches.h"

#include <gtest/gtest.h>

#include <optional>

#include "certificate/verification.h"
#include "scenario/generator.h"

namespace dashf::certificate {
namespace {

Scenario Study() {
  GeneratorOptions options;
  options.delay = DelayMode::kMakespan;
  return GenerateStudy(4, 2, options, Rng(3), std::nullopt).value();
}

BranchBound SomeBound(const Scenario& scenario, bool last = true) {
  const double each = scenario.objective.delay_weight_per_s / 4.0;
  const ServerPrices prices{.bandwidth_per_hz = 3.0 / scenario.servers[0].bandwidth_hz,
                            .power_per_w = 2.0 / scenario.servers[0].tx_power_w_max,
                            .clock_per_hz = 4.0 / scenario.servers[0].compute.clock_hz_max,
                            .slot = 0.0};
  return {{prices, prices}, std::vector<double>(4, each), std::vector<double>(4, each), last};
}

DeadlineBox SomeBox(const Scenario& scenario, std::vector<BranchNode> nodes) {
  const BranchBound bound = SomeBound(scenario);
  DeadlineBox box{.user_phase_s_min = 0.0,
                  .user_phase_s_max = 1e5,
                  .server_phase_s_min = 0.0,
                  .server_phase_s_max = 1e5,
                  .servers = bound.servers,
                  .user_phase_weight_per_s = bound.user_phase_weight_per_s,
                  .server_phase_weight_per_s = bound.server_phase_weight_per_s};
  box.branches = std::move(nodes);
  return box;
}

bool WellFormed(const Scenario& scenario, std::vector<BranchNode> nodes) {
  return CheckBranches(scenario, SomeBox(scenario, std::move(nodes)), "branches").has_value();
}

TEST(Branches, AreATreeInPreorderOfQuestionsThatExist) {
  const Scenario scenario = Study();
  const BranchBound last = SomeBound(scenario), not_last = SomeBound(scenario, false);
  const PhaseAtMost end{0, 100.0};
  EXPECT_TRUE(WellFormed(scenario, {last}));
  EXPECT_TRUE(
      WellFormed(scenario, {not_last, end, last, not_last, UserOn{3, -1, 0, 2}, last, last}));
  EXPECT_FALSE(WellFormed(scenario, {not_last}));
  EXPECT_FALSE(WellFormed(scenario, {end, last}));
  EXPECT_FALSE(WellFormed(scenario, {last, last}));
  EXPECT_FALSE(WellFormed(scenario, {PhaseAtMost{2, 100.0}, last, last}));
  EXPECT_FALSE(WellFormed(scenario, {PhaseAtMost{1, 2e5}, last, last}));
  // Within what the answer before it left.
  EXPECT_FALSE(WellFormed(scenario, {end, PhaseAtMost{0, 200.0}, last, last, last}));
  EXPECT_TRUE(WellFormed(scenario, {end, last, PhaseAtMost{0, 200.0}, last, last}));
  EXPECT_FALSE(WellFormed(scenario, {UserOn{4, 0, 0, 1}, last, last}));
  EXPECT_FALSE(WellFormed(scenario, {UserOn{0, 2, 0, 1}, last, last}));
  EXPECT_FALSE(WellFormed(scenario, {UserOn{0, 0, 2, 1}, last, last}));
  EXPECT_FALSE(WellFormed(scenario, {UserOn{0, 0, 0, 99}, last, last}));
  BranchBound short_of_one = last;
  short_of_one.user_phase_weight_per_s.pop_back();
  EXPECT_FALSE(WellFormed(scenario, {short_of_one}));
  BranchBound negative = last;
  negative.servers[1].clock_per_hz = -1.0;
  EXPECT_FALSE(WellFormed(scenario, {negative}));
  std::vector<BranchNode> deep(kBranchDepthMax + 1, not_last);
  deep.emplace_back(last);
  EXPECT_FALSE(WellFormed(scenario, deep));
}

TEST(Branches, AskNothingOfDeadlinesAndHaveNoWeightsWithTheSumOfDelays) {
  Scenario scenario = Study();
  scenario.objective.delay = DelayMode::kSum;
  BranchBound last = SomeBound(scenario);
  EXPECT_FALSE(WellFormed(scenario, {last}));
  last.user_phase_weight_per_s.clear();
  last.server_phase_weight_per_s.clear();
  EXPECT_TRUE(WellFormed(scenario, {UserOn{1, 0, 0, 16}, last, last}));
  EXPECT_FALSE(WellFormed(scenario, {PhaseAtMost{0, 100.0}, last, last}));
}

double Excess(const Scenario& scenario, std::vector<BranchNode> nodes, double y) {
  return BoundBranches(scenario, SomeBox(scenario, std::move(nodes)), y, 1).excess;
}

// Without an answer a branch proves what the box does; with one it can only prove more; and both
// answers together leave nothing out.
TEST(Branches, LoseNothingByAnAnswer) {
  const Scenario scenario = Study();
  const BranchBound last = SomeBound(scenario), not_last = SomeBound(scenario, false);
  const double y = 0.2;
  const double whole = BoundBox(scenario, SomeBox(scenario, {}), y, 1).excess;
  const double tolerance = 1e-5 * scenario.objective.score_scale;
  EXPECT_NEAR(Excess(scenario, {last}, y), whole, tolerance);
  EXPECT_NEAR(Excess(scenario, {UserOn{2, 1, 0, 16}, last, last}, y), whole, tolerance);
  EXPECT_NEAR(Excess(scenario, {UserOn{2, -1, 0, 3}, last, last}, y), whole, tolerance);
  EXPECT_LE(Excess(scenario, {PhaseAtMost{0, 300.0}, last, last}, y), whole + tolerance);
  EXPECT_LE(Excess(scenario, {not_last, last}, y), whole + tolerance);
}

}  // namespace
}  // namespace dashf::certificate
