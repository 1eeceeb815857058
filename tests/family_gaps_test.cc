// Across modules: on every family of the instance library the default ends near its proven bound
// and below no baseline. Gaps, not times; `dashf bench planner --families` has the larger sizes.
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "base/rng.h"
#include "certificate/verification.h"
#include "problem/evaluation.h"
#include "scenario/families.h"
#include "solvers/method.h"

namespace dashf {
namespace {

constexpr double kGapTarget = 1e-4, kNear = 1.5e-4;

struct Size {
  int users, servers;
};

Scenario Make(std::string_view family, const Size& size, DelayMode delay) {
  GeneratorOptions options;
  options.delay = delay;
  return GenerateFamily(family, size.users, size.servers, options, Rng(1)).value();
}

// Proven, of the default's plan, which is held against the baselines.
double ProvenGap(const Scenario& scenario) {
  const auto solved = solvers::FindMethod("prices")->solve(
      scenario, {.gap_target = kGapTarget, .wants_bound = true, .on_iteration = {}});
  EXPECT_TRUE(solved && solved->certificate);
  if (!solved || !solved->certificate) return 1.0;
  const Evaluation evaluation = Evaluate(scenario, solved->plan);
  EXPECT_TRUE(evaluation.feasible);
  double best = evaluation.scr;
  for (const char* name : {"dashf", "greedy", "association-only", "resource-only", "all-server"}) {
    const auto other = solvers::FindMethod(name)->solve(scenario, {.on_iteration = {}});
    if (other) best = std::max(best, Evaluate(scenario, other->plan).scr);
  }
  EXPECT_GE(evaluation.scr, best * (1.0 - kGapTarget));
  const auto proven = certificate::RaiseToProof(scenario, *solved->certificate, 1);
  EXPECT_TRUE(proven);
  if (!proven) return 1.0;
  EXPECT_GE(proven->scr_upper, best * (1.0 - 1e-12));
  return 1.0 - evaluation.scr / proven->scr_upper;
}

// What stays open with the total delay (docs/planner-figures.md).
double LimitOf(std::string_view family, const Size& size) {
  if (family == "all-local" && size.users == 20) return 0.006;
  return kNear;
}

TEST(FamilyGaps, WithTheTotalDelayAreWithinTheirLimitsAndNoBaselineIsAbove) {
  for (const Size& size : {Size{3, 2}, Size{6, 2}, Size{10, 2}, Size{20, 3}}) {
    for (const Family& family : Families()) {
      SCOPED_TRACE(testing::Message() << family.name << " " << size.users);
      EXPECT_LE(ProvenGap(Make(family.name, size, DelayMode::kSum)), LimitOf(family.name, size));
    }
  }
}

TEST(FamilyGaps, OfThreeUsersWithTheMakespanAreClosed) {
  for (const Family& family : Families()) {
    SCOPED_TRACE(family.name);
    EXPECT_LE(ProvenGap(Make(family.name, {3, 2}, DelayMode::kMakespan)), kNear);
  }
}

}  // namespace
}  // namespace dashf
