#include "study/schedule.h"

#include <gmock/gmock.h>

namespace dashf::study {
namespace {

using train::UserObjective;

std::string Phases(const std::string& schedule, int k, int steps = 60) {
  const auto parsed = ParseSchedule(schedule, 0.5);
  if (!parsed) return parsed.error().Text();
  return Text(PhasesOf(*parsed, k, 6, UserObjective::kEarlyExit, steps), 6);
}

TEST(Schedule, PlainIsTheUsersPhaseThenTheServers) {
  EXPECT_EQ(Phases("plain", 2), "user 1-2 early_exit x30, server 3-6 x30");
}

TEST(Schedule, WithNothingToShareOneSideMakesAllSteps) {
  for (const char* schedule : {"plain", "rounds=3,overlap=1,joint=0.1", "server-first,share=0.2"}) {
    EXPECT_EQ(Phases(schedule, 0), "server 1-6 x60");
    EXPECT_EQ(Phases(schedule, 6), "user 1-6 full_depth x60");
  }
}

TEST(Schedule, EveryOptionDoesWhatItSays) {
  EXPECT_EQ(Phases("rounds=2", 2),
            "user 1-2 early_exit x15, server 3-6 x15, user 1-2 early_exit x15, server 3-6 x15");
  EXPECT_EQ(Phases("overlap=1", 2), "user 1-2 early_exit x30, server 2-6 x30");
  EXPECT_EQ(Phases("overlap=9", 2), "user 1-2 early_exit x30, server 1-6 x30");
  EXPECT_EQ(Phases("joint=0.1", 2), "user 1-2 early_exit x27, server 3-6 x27, server 1-6 x6");
  EXPECT_EQ(Phases("share=0.25", 2), "user 1-2 early_exit x15, server 3-6 x45");
  EXPECT_EQ(Phases("server-first", 2), "server 3-6 x30, user 1-2 early_exit x30");
  EXPECT_EQ(Phases("joint=1", 2), "server 1-6 x60");
}

TEST(Schedule, TheNumberOfStepsStaysHoweverTheyAreShared) {
  for (const char* text : {"rounds=7", "rounds=50", "rounds=4,joint=0.13,share=0.3,server-first"}) {
    for (int steps = 1; steps <= 40; ++steps) {
      int sum = 0;
      for (const Phase& phase :
           PhasesOf(*ParseSchedule(text, 0.5), 3, 6, UserObjective::kFullDepth, steps)) {
        EXPECT_GT(phase.steps, 0);
        sum += phase.steps;
      }
      EXPECT_EQ(sum, steps) << text;
    }
  }
}

TEST(Schedule, ItsNameIsReadBackAsItself) {
  for (const char* name : {"plain", "rounds=3,joint=0.1", "overlap=2,share=0.25,server-first"}) {
    const auto schedule = ParseSchedule(name, 0.5);
    ASSERT_TRUE(schedule) << schedule.error().Text();
    EXPECT_EQ(Name(*schedule, 0.5), name);
  }
}

TEST(Schedule, WhatIsNoneIsNamed) {
  for (const char* text : {"", "fast", "rounds=0", "rounds=2x", "joint=1.5", "plain,rounds=2"}) {
    const auto schedule = ParseSchedule(text, 0.5);
    ASSERT_FALSE(schedule) << text;
    EXPECT_EQ(schedule.error().where, "--schedule");
  }
}

}  // namespace
}  // namespace dashf::study
