#include "scenario/feasibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "scenario/generator.h"

namespace dashf {
namespace {

using ::testing::HasSubstr;

Scenario TwelveUsersThreeServers(std::uint64_t seed) {
  return *GenerateStudy(12, 3, {}, Rng(seed));
}

TEST(FindConflicts, FindsNoneWhereThereIsAPlan) {
  EXPECT_TRUE(FindConflicts(TwelveUsersThreeServers(1)).empty());
}

// The slack is exact: as much as it says repairs the scenario, and no less.
TEST(FindConflicts, SaysWhereNoPlanCostsAnything) {
  Scenario scenario = TwelveUsersThreeServers(1);
  for (SplitProfile& table : scenario.profiles) {
    for (auto* column :
         {&table.local_flop, &table.server_flop, &table.upload_bit, &table.download_bit}) {
      std::fill(column->begin(), column->end(), 0.0);
    }
  }
  EXPECT_TRUE(FindConflicts(scenario).costs_nothing);
  EXPECT_EQ(Validate(scenario).error().kind, ErrorKind::kInfeasible);
  scenario.profiles.back().upload_bit[0] = 1.0;  // One user's cost is enough for a ratio.
  EXPECT_FALSE(FindConflicts(scenario).costs_nothing);
}

// Where neither delay nor computing costs anything, users who send nothing score for nothing.
TEST(FindConflicts, SaysWhereAPlanThatScoresCostsNothing) {
  Scenario scenario = TwelveUsersThreeServers(1);
  scenario.objective.delay_weight_per_s = 0.0;
  for (Server& server : scenario.servers) server.compute.kappa_w_per_hz3 = 0.0;
  for (SplitProfile& table : scenario.profiles) table.upload_bit[0] = table.download_bit[0] = 0.0;
  EXPECT_TRUE(FindConflicts(scenario).costs_nothing);
  // One user who always costs something is enough.
  SplitProfile& table = scenario.profiles[static_cast<std::size_t>(scenario.users[3].profile)];
  table.upload_bit[0] = 1.0;
  EXPECT_FALSE(FindConflicts(scenario).costs_nothing);
  table.upload_bit[0] = 0.0;
  scenario.objective.delay_weight_per_s = 1.0;
  EXPECT_FALSE(FindConflicts(scenario).costs_nothing);
}

TEST(FindConflicts, SaysHowMuchMemoryIsMissing) {
  Scenario scenario = TwelveUsersThreeServers(2);
  for (double& bytes : scenario.profiles[4].local_memory_bytes) bytes += 2e8;
  scenario.users[4].memory_bytes_max = 1e8;
  const Conflicts conflicts = FindConflicts(scenario);
  ASSERT_EQ(conflicts.splits.size(), 1u);
  const SplitConflict conflict = conflicts.splits.front();
  EXPECT_EQ(conflict.user, 4);
  EXPECT_EQ(conflict.local_layers, 0);
  EXPECT_EQ(conflict.missing_bytes, 1e8);
  scenario.users[4].memory_bytes_max = 2e8 - 1.0;
  EXPECT_FALSE(FindConflicts(scenario).empty());
  scenario.users[4].memory_bytes_max = 2e8;
  EXPECT_TRUE(FindConflicts(scenario).empty());
}

TEST(FindConflicts, SaysHowManySlotsAreMissingAndForWhom) {
  Rng rng(3);
  int short_of_slots = 0;
  for (std::uint64_t trial = 0; trial < 200; ++trial) {
    Scenario scenario = TwelveUsersThreeServers(4);
    for (Server& server : scenario.servers) server.slots = static_cast<int>(rng.Below(6));
    for (auto& links : scenario.links) {
      if (rng.Below(2) == 0) links.resize(1 + rng.Below(2));
    }
    const Conflicts conflicts = FindConflicts(scenario);
    short_of_slots += !conflicts.users_without_slot.empty();
    ASSERT_EQ(conflicts.empty(), conflicts.users_without_slot.empty());
    // One slot less than it asks for leaves one user out; all of them leave nobody out.
    for (std::size_t i = 0; i < conflicts.users_without_slot.size(); ++i) {
      ASSERT_FALSE(FindConflicts(scenario).empty()) << "trial " << trial;
      const auto& links = scenario.links[static_cast<std::size_t>(conflicts.users_without_slot[i])];
      const Link& link = links[rng.Below(links.size())];
      ++*scenario.servers[static_cast<std::size_t>(link.server)].slots;
    }
    EXPECT_TRUE(FindConflicts(scenario).empty()) << "trial " << trial;
  }
  EXPECT_GT(short_of_slots, 50);
}

TEST(FindConflicts, ListsEveryKindAtOnceInWords) {
  Scenario scenario = TwelveUsersThreeServers(5);
  scenario.links[0].clear();
  for (double& bytes : scenario.profiles[1].local_memory_bytes) bytes += 2e8;
  scenario.users[1].memory_bytes_max = 1.0;
  for (const std::size_t n : {2u, 3u}) scenario.links[n] = {{.server = 1, .gain = 1e-9}};
  scenario.servers[1].slots = 1;
  for (const std::size_t m : {0u, 2u}) scenario.servers[m].slots = 12;
  const Conflicts conflicts = FindConflicts(scenario);
  ASSERT_EQ(conflicts.splits.size(), 1u);
  ASSERT_EQ(conflicts.shortages.size(), 2u);
  EXPECT_THAT(Describe(scenario, conflicts.splits[0]), HasSubstr("user u1: no split fits"));
  EXPECT_EQ(Describe(scenario, conflicts.shortages[0]),
            "user u0 reaches no server: its gain to every server is 0 or absent");
  EXPECT_EQ(Describe(scenario, conflicts.shortages[1]),
            "too few slots: the 2 users u2, u3 reach only s1 with 1 slots together");
  EXPECT_THAT(DescribeMissingSlots(scenario, conflicts), HasSubstr("in all: 1,"));
}

}  // namespace
}  // namespace dashf
