#include "replanning/world.h"

#include <gmock/gmock.h>

#include <cmath>

#include "scenario/scenario_io.h"

namespace dashf::replanning {
namespace {

using ::testing::HasSubstr;

WorldSettings Still() {
  WorldSettings settings;
  settings.study.users = 6;
  settings.study.servers = 2;
  settings.rounds = 4;
  settings.walk.speed_m_per_s_min = settings.walk.speed_m_per_s_max = 0.0;
  settings.fading_anew = false;
  settings.data_spread = 0.0;
  settings.users = settings.servers = {.away = 0.0, .back = 0.0};
  return settings;
}

std::string Text(const WorldRound& round) {
  return round.scenario ? WriteScenario(*round.scenario) : "";
}

TEST(World, InWhichNothingHappensIsTheStudysScenarioInEveryRound) {
  const WorldSettings settings = Still();
  const World world = *World::Make(settings, 3);
  const Scenario study = *sweep::Generate(settings.study, 3);
  for (int round = 0; round < settings.rounds; ++round) {
    const Scenario now = *world.At(round).scenario;
    ASSERT_EQ(now.users.size(), study.users.size());
    for (std::size_t n = 0; n < now.users.size(); ++n) {
      EXPECT_EQ(now.users[n].position_m.x_m, study.users[n].position_m.x_m);
      EXPECT_EQ(now.ProfileOf(now.users[n]).local_flop, study.ProfileOf(study.users[n]).local_flop);
      EXPECT_EQ(now.ProfileOf(now.users[n]).upload_bit, study.ProfileOf(study.users[n]).upload_bit);
      ASSERT_EQ(now.links[n].size(), study.links[n].size());
      for (std::size_t i = 0; i < now.links[n].size(); ++i) {
        EXPECT_EQ(now.links[n][i].gain, study.links[n][i].gain);
      }
    }
  }
}

TEST(World, FollowsFromItsSeed) {
  WorldSettings settings;
  settings.rounds = 6;
  const World one = *World::Make(settings, 5), same = *World::Make(settings, 5);
  const World other = *World::Make(settings, 6);
  for (int round = 0; round < settings.rounds; ++round) {
    EXPECT_EQ(Text(one.At(round)), Text(same.At(round)));
    EXPECT_NE(Text(one.At(round)), Text(other.At(round)));
  }
}

TEST(World, EveryRoundIsAScenarioThatHasAPlan) {
  WorldSettings settings;
  settings.rounds = 30;
  settings.users = {.away = 0.3, .back = 0.3};
  settings.servers = {.away = 0.5, .back = 0.3};
  int rounds = 0, waiting = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const World world = *World::Make(settings, seed);
    for (int round = 0; round < settings.rounds; ++round) {
      const WorldRound now = world.At(round);
      EXPECT_EQ(now.scenario.has_value(), now.users > 0 && now.servers > 0);
      if (!now.scenario) continue;
      const auto valid = Validate(*now.scenario);
      EXPECT_TRUE(valid) << valid.error().Text();
      EXPECT_EQ(static_cast<int>(now.scenario->servers.size()), now.servers);
      waiting += now.users - static_cast<int>(now.scenario->users.size());
      ++rounds;
    }
  }
  EXPECT_GT(rounds, 100);
  EXPECT_GT(waiting, 0);  // Where most servers are down their slots do not do for all.
}

// The chain's stationary distribution is back / (away + back), from the first round on.
TEST(World, AsManyUsersAreThereAsTheStationaryDistributionSays) {
  WorldSettings settings = Still();
  settings.study.users = 400;
  settings.rounds = 20;
  settings.users = {.away = 0.1, .back = 0.3};
  const World world = *World::Make(settings, 1);
  int there = 0;
  for (int round = 0; round < settings.rounds; ++round) {
    const int now = world.At(round).users;
    EXPECT_NEAR(now, 300, 5 * std::sqrt(400 * 0.75 * 0.25));
    there += now;
  }
  EXPECT_NEAR(there / 20.0, 300, 20);
}

// U[k] = data + adapters: the data go with the part, the adapters stay.
TEST(PartOfData, ScalesWorkAndDataButNoAdapters) {
  const SplitProfile whole{.name = "p",
                           .local_flop = {0, 10, 20},
                           .server_flop = {30, 15, 0},
                           .upload_bit = {100, 107, 0},
                           .download_bit = {14, 7, 0},
                           .local_memory_bytes = {0, 1, 2}};
  const SplitProfile half = WithPartOfData(whole, 0.5);
  EXPECT_THAT(half.local_flop, ::testing::ElementsAre(0, 5, 10));
  EXPECT_THAT(half.server_flop, ::testing::ElementsAre(15, 7.5, 0));
  EXPECT_THAT(half.upload_bit, ::testing::ElementsAre(50, 57, 0));
  EXPECT_EQ(half.download_bit, whole.download_bit);
  EXPECT_EQ(half.local_memory_bytes, whole.local_memory_bytes);
}

TEST(World, DataOfARoundLieWithinTheirSpreadAroundTheMean) {
  WorldSettings settings = Still();
  settings.data_spread = 0.25;
  settings.rounds = 50;
  const World world = *World::Make(settings, 2);
  const Scenario study = *sweep::Generate(settings.study, 2);
  double sum = 0.0;
  for (int round = 0; round < settings.rounds; ++round) {
    const Scenario now = *world.At(round).scenario;
    for (std::size_t n = 0; n < now.users.size(); ++n) {
      const double part = now.ProfileOf(now.users[n]).server_flop[0] /
                          study.ProfileOf(study.users[n]).server_flop[0];
      EXPECT_TRUE(part >= 0.75 && part <= 1.25) << part;
      sum += part;
    }
  }
  EXPECT_NEAR(sum / 300.0, 1.0, 5 * 0.25 / std::sqrt(3.0 * 300.0));
}

TEST(World, SettingsOutOfRangeAreRefusedByFlag) {
  const auto refusal = [](auto change) {
    WorldSettings settings;
    change(&settings);
    const auto sound = settings.Validate();
    return sound ? std::string("taken") : sound.error().Text();
  };
  EXPECT_EQ(refusal([](WorldSettings*) {}), "taken");
  EXPECT_THAT(refusal([](auto* s) { s->data_spread = 1.0; }), HasSubstr("--data-spread"));
  EXPECT_THAT(refusal([](auto* s) { s->rounds = 0; }), HasSubstr("--rounds"));
  EXPECT_THAT(refusal([](auto* s) { s->walk.speed_m_per_s_min = 0.0; }),
              HasSubstr("--speed-min-m-per-s"));
  EXPECT_THAT(refusal([](auto* s) { s->walk.speed_m_per_s_max = 0.1; }),
              HasSubstr("--speed-max-m-per-s"));
  EXPECT_THAT(refusal([](auto* s) { s->walk.round_s = 0.0; }), HasSubstr("--round-s"));
  EXPECT_THAT(refusal([](auto* s) { s->users = {.away = 0.1, .back = 0.0}; }),
              HasSubstr("--join: must be > 0 with --leave 0.1"));
  EXPECT_THAT(refusal([](auto* s) { s->servers.away = 1.5; }), HasSubstr("--fail"));
}

}  // namespace
}  // namespace dashf::replanning
