#include "solvers/rough_boxes.h"

#include <gtest/gtest.h>

#include <limits>

#include "solvers/deadline_start.h"
#include "solvers/exhaustive.h"
#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

class SmallMakespan {
 public:
  explicit SmallMakespan(std::uint64_t seed)
      : scenario(testing::RandomScenario(
            {.users = 4, .layers = 3, .delay = DelayMode::kMakespan, .corners = seed % 2 == 0},
            Rng(seed))),
        problem(*MakeScrProblem(scenario)),
        columns(MakeColumns(problem, false)),
        best(SolveExhaustive(scenario, {.on_iteration = {}})->plan),
        scr(TotalsOf(problem, best).Scr()) {}

  Certificate Bound(double target_y,
                    int threads = 1,
                    double time_limit_s = std::numeric_limits<double>::infinity()) const {
    RoughBoxes boxes(problem, columns, {5e-3, 5e-3, 5e-2, 1e-2}, threads, time_limit_s);
    return boxes.Bound(StartFromPlan(problem, columns, best, target_y, threads, time_limit_s),
                       target_y);
  }

  Scenario scenario;
  ScrProblem problem;
  Columns columns;
  Plan best;
  double scr;
};

TEST(RoughBoxes, LieNeverBelowTheOptimumAndMostlyReachACoarseTarget) {
  constexpr int kSeeds = 8;
  constexpr double kTarget = 1.1;
  int reached = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SmallMakespan small(seed);
    const Certificate certificate = small.Bound(kTarget * small.scr);
    EXPECT_GE(certificate.scr_upper, small.scr * (1.0 - 1e-6)) << "seed " << seed;
    if (certificate.scr_upper <= 1.001 * kTarget * small.scr) ++reached;
  }
  EXPECT_GE(reached, 6);
}

TEST(RoughBoxes, AreTheSameForAnyNumberOfThreads) {
  const SmallMakespan small(3);
  const Certificate one = small.Bound(1.1 * small.scr, 1), three = small.Bound(1.1 * small.scr, 3);
  EXPECT_EQ(one.scr_upper, three.scr_upper);
  ASSERT_EQ(one.boxes.size(), three.boxes.size());
  for (std::size_t i = 0; i < one.boxes.size(); ++i) {
    EXPECT_EQ(one.boxes[i].user_phase_s_min, three.boxes[i].user_phase_s_min);
    EXPECT_EQ(one.boxes[i].user_phase_weight_per_s, three.boxes[i].user_phase_weight_per_s);
  }
}

TEST(RoughBoxes, CoverEveryDeadlineWhenTheirTimeIsUp) {
  const SmallMakespan small(1);
  const Certificate certificate = small.Bound(small.scr, 1, 0.0);
  EXPECT_LE(certificate.boxes.size(), 3U);
  EXPECT_GE(certificate.scr_upper, small.scr);
  for (const double at_s : {0.0, 1e9}) {
    int inside = 0;
    for (const DeadlineBox& box : certificate.boxes) {
      if (box.user_phase_s_min <= at_s && at_s <= box.user_phase_s_max) ++inside;
    }
    EXPECT_GE(inside, 1);
  }
}

}  // namespace
}  // namespace dashf::solvers::internal
