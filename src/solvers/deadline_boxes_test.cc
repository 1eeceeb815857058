#include "solvers/deadline_boxes.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "solvers/deadline_start.h"
#include "solvers/exhaustive.h"
#include "solvers/price_search.h"
#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

// The search's start: prices at the deadlines that the plan just keeps.
DeadlinePoint StartAt(const ScrProblem& problem, const Columns& columns, const Plan& plan) {
  DeadlinePoint point;
  point.phases_s = PhasesOf(problem, plan);
  point.at = FirstPrices(problem, columns, TotalsOf(problem, plan).Scr());
  return point;
}

class SmallMakespan {
 public:
  explicit SmallMakespan(std::uint64_t seed, bool corners = false)
      : scenario(testing::RandomScenario(
            {.users = 4, .layers = 3, .delay = DelayMode::kMakespan, .corners = corners},
            Rng(seed))),
        problem(*MakeScrProblem(scenario)),
        columns(MakeColumns(problem, false)),
        best(SolveExhaustive(scenario, {.on_iteration = {}})->plan),
        scr(TotalsOf(problem, best).Scr()) {}

  Certificate Bound(double target_y,
                    int threads = 1,
                    double time_limit_s = std::numeric_limits<double>::infinity()) const {
    DeadlineBoxes boxes(problem, columns, {}, threads, time_limit_s);
    DeadlinePoint point = StartAt(problem, columns, best);
    boxes.Climb(&point);
    return boxes.Bound(point, target_y);
  }

  Scenario scenario;
  ScrProblem problem;
  Columns columns;
  Plan best;
  double scr;
};

TEST(DeadlineBoxes, LieNeverBelowTheOptimumAndComeAsNearAsPricesCan) {
  constexpr int kSeeds = 8;
  double gap = 0.0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SmallMakespan small(seed, seed > 4);
    const Certificate certificate = small.Bound(small.scr * (1.0 + 1e-4));
    EXPECT_GE(certificate.scr_upper, small.scr * (1.0 - 1e-6)) << "seed " << seed;
    gap += certificate.scr_upper / small.scr - 1.0;
  }
  EXPECT_LE(gap / kSeeds, 0.03);
}

TEST(DeadlineBoxes, AreTheSameForAnyNumberOfThreads) {
  const SmallMakespan small(3);
  const Certificate one = small.Bound(1.02 * small.scr, 1),
                    three = small.Bound(1.02 * small.scr, 3);
  EXPECT_EQ(one.scr_upper, three.scr_upper);
  ASSERT_EQ(one.boxes.size(), three.boxes.size());
  for (std::size_t i = 0; i < one.boxes.size(); ++i) {
    EXPECT_EQ(one.boxes[i].user_phase_s_min, three.boxes[i].user_phase_s_min);
    EXPECT_EQ(one.boxes[i].user_phase_weight_per_s, three.boxes[i].user_phase_weight_per_s);
  }
}

TEST(DeadlineBoxes, CoverEveryDeadlineWhenTheirTimeIsUp) {
  const SmallMakespan small(2);
  const Certificate certificate = small.Bound(small.scr, 1, 0.0);
  EXPECT_LE(certificate.boxes.size(), 3U);
  EXPECT_GE(certificate.scr_upper, small.scr);
  for (const Eigen::Vector2d& at :
       {Eigen::Vector2d(0.0, 0.0), Eigen::Vector2d(1e9, 0.0), Eigen::Vector2d(0.0, 1e9)}) {
    EXPECT_TRUE(std::any_of(
        certificate.boxes.begin(), certificate.boxes.end(), [&](const DeadlineBox& box) {
          return box.user_phase_s_min <= at[0] && at[0] <= box.user_phase_s_max &&
                 box.server_phase_s_min <= at[1] && at[1] <= box.server_phase_s_max;
        }));
  }
}

}  // namespace
}  // namespace dashf::solvers::internal
