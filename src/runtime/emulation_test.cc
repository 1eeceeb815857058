#include "runtime/emulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "runtime/pacer.h"

namespace dashf::runtime {
namespace {

constexpr double kTolerance = 1e-12;

// Two layers; the middle row is the one that is used.
SplitProfile Profile() {
  return {.name = "p",
          .local_flop = {0.0, 6e9, 12e9},
          .server_flop = {12e9, 8e9, 0.0},
          .upload_bit = {1e6, 2e6, 0.0},
          .download_bit = {3e6, 4e6, 0.0},
          .local_memory_bytes = {0.0, 1.0, 2.0}};
}

TEST(PaceOf, IsThePlansBitsAndTrainingInThePlansTime) {
  const PhaseSeconds predicted{3.0, 4.0, 2.0, 8.0};
  const Pace pace = PaceOf(Profile(), 1, predicted, {1.0, 0.0});  // Needs no machine.
  EXPECT_DOUBLE_EQ(pace.upload_bit_per_s, 2e6 / 4.0);
  EXPECT_DOUBLE_EQ(pace.download_bit_per_s, 4e6 / 8.0);
  EXPECT_DOUBLE_EQ(pace.local_s, 3.0);
  EXPECT_DOUBLE_EQ(pace.server_s, 2.0);
}

TEST(PaceOf, ATenthOfTheTimeIsTenTimesThePace) {
  const PhaseSeconds predicted{3.0, 4.0, 2.0, 8.0};
  const Pace once = PaceOf(Profile(), 1, predicted, {1.0, 8e9});
  const Pace fast = PaceOf(Profile(), 1, predicted, {0.1, 8e9});
  EXPECT_NEAR(fast.upload_bit_per_s, 10 * once.upload_bit_per_s, 1e-6);
  EXPECT_NEAR(fast.server_s, once.server_s / 10, kTolerance);
}

TEST(PaceOf, HoldsNobodyBackWhereThereIsNothingToHoldTo) {
  for (const Pace& pace : {PaceOf(Profile(), 1, {3.0, 4.0, 2.0, 8.0}, {0.0, 8e9}),
                           PaceOf(Profile(), 1, {}, {1.0, 8e9})}) {
    EXPECT_EQ(pace.upload_bit_per_s, 0.0);
    EXPECT_EQ(pace.download_bit_per_s, 0.0);
    EXPECT_EQ(pace.local_s, 0.0);
    EXPECT_EQ(pace.server_s, 0.0);
  }
}

TEST(EmulatedSeconds, AreThoseOfTheDeviceWhateverThePlanAssumesOfIt) {
  const Emulation emulation{1.0, 0.0, {{"u1", 2.0}}};
  const PhaseSeconds predicted{3.0, 4.0, 2.0, 8.0};
  EXPECT_EQ(EmulatedSeconds("u0", predicted, {}, emulation).local, 3.0);
  EXPECT_EQ(EmulatedSeconds("u1", predicted, {}, emulation).local, 6.0);
  EXPECT_EQ(EmulatedSeconds("u1", predicted, {}, emulation).server, 2.0);
  const PhaseSeconds known = EmulatedSeconds(
      "u1", predicted, {.local = 1.5, .upload = 2.0, .server = 4.0, .download = 0.5}, emulation);
  EXPECT_EQ(known.local, 4.0);
  EXPECT_EQ(known.upload, 2.0);
  EXPECT_EQ(known.server, 0.5);
  EXPECT_EQ(known.download, 16.0);
  EXPECT_FALSE(EmulatedSeconds("u0", {}, {}, emulation).upload.has_value());
}

TEST(CheckSlowdown, NamesWhoIsNoUser) {
  Scenario scenario;
  scenario.users.emplace_back().id = "u1";
  EXPECT_TRUE(CheckSlowdown("here", {{"u1", 2.0}}, scenario));
  const auto refused = CheckSlowdown("here", {{"u1", 2.0}, {"u2", 2.0}}, scenario);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().Text(), "here: must name users, got 'u2'");
}

TEST(AskedCoresOf, IsThePlansWorkInItsTimeByWhatACoreDoes) {
  const PhaseSeconds predicted{3.0, 4.0, 2.0, 8.0};
  const AskedCores cores = AskedCoresOf(Profile(), 1, predicted, {1.0, 8e9});
  EXPECT_DOUBLE_EQ(cores.local, 6e9 / 3.0 / 8e9);
  EXPECT_DOUBLE_EQ(cores.server, 8e9 / 2.0 / 8e9);
  EXPECT_DOUBLE_EQ(AskedCoresOf(Profile(), 1, predicted, {4.0, 8e9}).server, cores.server / 4.0);
  EXPECT_EQ(AskedCoresOf(Profile(), 1, predicted, {1.0, 0.0}).local, 0.0);
  EXPECT_EQ(AskedCoresOf(Profile(), 0, {0.0, 4.0, 2.0, 8.0}, {1.0, 8e9}).local, 0.0);
}

TEST(CoresAsked, AreThoseOfTheBusiestMoment) {
  // One trains from 0 to 3 and at its server from 4 to 6, the other from 0 to 1 and from 2 to 5.
  const PlannedPhases one{{3.0, 1.0, 2.0, 1.0}, {0.5, 0.25}};
  const PlannedPhases other{{1.0, 1.0, 3.0, 1.0}, {0.125, 1.0}};
  EXPECT_DOUBLE_EQ(CoresAsked({}), 0.0);
  EXPECT_DOUBLE_EQ(CoresAsked({one}), 0.5);
  EXPECT_DOUBLE_EQ(CoresAsked({one, other}), 1.5);
  // What ends when something else begins does not count beside it.
  EXPECT_DOUBLE_EQ(CoresAsked({{{2.0, 0.0, 1.0, 0.0}, {1.0, 1.0}}}), 1.0);
}

TEST(Pacer, PiecesTakeAsLongAsTheirSumDoes) {
  Rng rng(1);
  Pacer pacer(250.0, 10.0);
  double units = 0.0, now_s = 10.0;
  for (int i = 0; i < 1000; ++i) {
    const double piece = rng.Uniform(0.1, 50.0);
    units += piece;
    now_s = pacer.Next(piece, now_s);
    ASSERT_NEAR(now_s, 10.0 + units / 250.0, 1e-9);
  }
}

// A machine whose steps take what they take, by a clock of its own.
TEST(Schedule, TheWholeTakesItsTimeHoweverUnevenStepsAreWhileEachIsInTime) {
  Rng rng(2);
  for (int trial = 0; trial < 100; ++trial) {
    const double planned_s = rng.Uniform(0.5, 20.0), began_s = rng.Uniform(0.0, 100.0);
    const Schedule schedule(planned_s, 0.0, began_s);
    const int steps = 1 + static_cast<int>(rng.Below(40));
    double now_s = began_s;
    for (int step = 1; step <= steps; ++step) {
      now_s += rng.Uniform(0.0, planned_s / steps);  // Cold caches or not: several times as long.
      now_s = std::max(now_s, schedule.Due(1.0 * step / steps));
      ASSERT_NEAR(now_s, began_s + planned_s * step / steps, 1e-9);
    }
  }
}

TEST(Schedule, ALateStepIsCaughtUpWithAndAMachineThatIsTooSlowIsLateByItsOwnTimes) {
  const Schedule schedule(10.0, 0.0, 0.0);
  const auto run = [&](const std::vector<double>& steps_s) {
    double now_s = 0.0, done = 0.0;
    for (const double step_s : steps_s) {
      done += 1.0 / static_cast<double>(steps_s.size());
      now_s = std::max(now_s + step_s, schedule.Due(done));
    }
    return now_s;
  };
  EXPECT_NEAR(run({1.0, 5.0, 1.0, 1.0}), 10.0, 1e-9);
  EXPECT_NEAR(run({4.0, 4.0, 4.0, 4.0}), 16.0, 1e-9);  // As asked for nothing.
}

TEST(Schedule, WhatWasDoneBeforeTakesNoTime) {
  const Schedule schedule(8.0, 0.75, 100.0);
  EXPECT_DOUBLE_EQ(schedule.Due(1.0), 102.0);
}

TEST(Pacer, CatchesUpWithWhatWasLate) {
  Pacer pacer(1.0, 0.0);
  EXPECT_DOUBLE_EQ(pacer.Next(1.0, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(pacer.Next(1.0, 1.7), 2.0);  // 0.7 s late: over when it should be.
  EXPECT_DOUBLE_EQ(pacer.Next(1.0, 9.0), 3.0);  // And it may be over before it has begun.
}

TEST(Pacer, CatchesUpWithNoMoreThanItsPatience) {
  Pacer pacer(1.0, 0.0, 0.5);
  EXPECT_DOUBLE_EQ(pacer.Next(1.0, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(pacer.Next(1.0, 1.25), 2.0);
  EXPECT_DOUBLE_EQ(pacer.Next(1.0, 10.0), 10.5);
  EXPECT_DOUBLE_EQ(pacer.Next(1.0, 10.5), 11.5);
}

}  // namespace
}  // namespace dashf::runtime
