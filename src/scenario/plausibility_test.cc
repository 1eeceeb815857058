#include "scenario/plausibility.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "scenario/families.h"
#include "scenario/generator.h"

namespace dashf {
namespace {

// But for links in a deep fade.
TEST(Plausibility, TheDefaultStudyHasNoNumberInAnotherUnit) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (const Doubt& doubt : FindDoubts(*GenerateStudy(10, 2, {}, Rng(seed)))) {
      if (doubt.kind != "link_below_noise")
        ADD_FAILURE() << seed << ' ' << doubt.kind << ' ' << doubt.where;
    }
  }
}

TEST(Plausibility, NumbersInAnotherUnitAreNamedWithTheFirstPlaceAndTheirCount) {
  struct Wrong {
    std::string kind, where;
    std::size_t count;
    std::function<void(Scenario*)> make;
  };
  const auto users = [](auto change) {
    return [change](Scenario* s) {
      for (User& user : s->users) change(user);
    };
  };
  const auto servers = [](auto change) {
    return [change](Scenario* s) {
      for (Server& server : s->servers) change(server);
    };
  };
  const auto gains = [](double gain) {
    return [gain](Scenario* s) {
      for (auto& links : s->links) links.front().gain = gain;
    };
  };
  const Wrong wrongs[] = {
      {"noise_unlike_thermal",
       "noise_density_w_per_hz",
       1,
       [](Scenario* s) { s->noise_density_w_per_hz = 2e-23; }},
      {"power_like_dbm", "users[0].tx_power_w_max", 10, users([](User& u) {
         u.tx_power_w_max = 23;
       })},
      {"power_like_mw", "servers[0].tx_power_w_max", 2, servers([](Server& s) {
         s.tx_power_w_max = 10000;
       })},
      {"bandwidth_like_mhz", "servers[0].bandwidth_hz", 2, servers([](Server& s) {
         s.bandwidth_hz = 20;
       })},
      {"clock_like_ghz", "users[0].compute.clock_hz_max", 10, users([](User& u) {
         u.compute.clock_hz_max = 1.5;
       })},
      {"flop_like_per_second", "servers[0].compute.flop_per_cycle", 2, servers([](Server& s) {
         s.compute.flop_per_cycle = 1e12;
       })},
      {"memory_like_gb", "users[0].memory_bytes_max", 10, users([](User& u) {
         u.memory_bytes_max = 4;
       })},
      {"gain_like_path_loss_db", "gain of user u0 to server s0", 10, gains(87.5)},
      {"gain_above_1", "gain of user u0 to server s0", 10, gains(1.5)},
      {"link_below_noise", "gain of user u0 to server s0", 10, gains(1e-17)},
      {"server_without_slots", "server s0", 1, [](Scenario* s) { s->servers[0].slots = 0; }},
      {"server_unreached", "server s1", 1, [](Scenario* s) {
         for (auto& links : s->links) links.resize(1);
       }}};
  for (const Wrong& wrong : wrongs) {
    Scenario scenario = *GenerateStudy(10, 2, {}, Rng(1));
    wrong.make(&scenario);
    const std::vector<Doubt> doubts = FindDoubts(scenario);
    ASSERT_EQ(doubts.size(), 1u) << wrong.kind;
    EXPECT_EQ(doubts[0].kind, wrong.kind);
    EXPECT_EQ(doubts[0].where, wrong.where);
    EXPECT_EQ(doubts[0].count, wrong.count) << wrong.kind;
  }
}

TEST(Plausibility, AUserWithoutAnyUsableLinkIsNamed) {
  Scenario scenario = *GenerateStudy(10, 2, {}, Rng(1));
  for (Link& link : scenario.links[7]) link.gain = 1e-18;
  const std::vector<Doubt> doubts = FindDoubts(scenario);
  ASSERT_EQ(doubts.size(), 2u);
  EXPECT_EQ(doubts[0].kind, "link_below_noise");
  EXPECT_EQ(doubts[0].count, 2u);
  EXPECT_EQ(doubts[1].kind, "user_below_noise");
  EXPECT_EQ(doubts[1].where, "user u7");
}

}  // namespace
}  // namespace dashf
