#include "scenario/slot_matching.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <set>

#include "base/rng.h"

namespace dashf {
namespace {

Scenario RandomLinks(Rng* rng, int users, int servers) {
  Scenario scenario;
  scenario.users.resize(static_cast<std::size_t>(users));
  scenario.links.resize(static_cast<std::size_t>(users));
  for (int m = 0; m < servers; ++m) {
    scenario.servers.emplace_back();
    if (rng->Below(8) != 0) scenario.servers.back().slots = static_cast<int>(rng->Below(4));
  }
  for (auto& links : scenario.links) {
    for (int m = 0; m < servers; ++m) {
      if (rng->Below(3) == 0) links.push_back({.server = m, .gain = 1.0});
    }
  }
  return scenario;
}

// Hall's theorem: everyone finds a slot iff every group of users reaches as many slots as it
// counts.
bool HallHolds(const Scenario& scenario) {
  const auto users = scenario.users.size();
  for (unsigned group = 1; group < (1u << users); ++group) {
    std::set<int> reached;
    for (std::size_t n = 0; n < users; ++n) {
      if ((group >> n & 1u) == 0) continue;
      for (const Link& link : scenario.links[n]) reached.insert(link.server);
    }
    int slots = 0;
    for (const int m : reached) {
      slots += scenario.servers[static_cast<std::size_t>(m)].slots.value_or(1000);
    }
    if (slots < std::popcount(group)) return false;
  }
  return true;
}

TEST(SlotMatching, AgreesWithHallsTheoremOnEveryGroupOfUsers) {
  Rng rng(20);
  int matched = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const Scenario scenario = RandomLinks(&rng, 1 + static_cast<int>(rng.Below(8)), 5);
    const SlotMatching matching = MatchSlots(scenario);
    ASSERT_EQ(matching.shortages.empty(), HallHolds(scenario)) << "trial " << trial;
    matched += matching.shortages.empty();
  }
  EXPECT_GT(matched, 200);  // Both answers occur.
  EXPECT_LT(matched, 1800);
}

TEST(SlotMatching, GivesLinkedServersWithinTheirSlotsOrProvesAShortage) {
  Rng rng(21);
  for (int trial = 0; trial < 500; ++trial) {
    const Scenario scenario = RandomLinks(&rng, 30, 25);
    const SlotMatching matching = MatchSlots(scenario);
    std::vector<int> taken(scenario.servers.size(), 0);
    for (std::size_t n = 0; n < scenario.users.size(); ++n) {
      const int server = matching.server_of_user[n];
      if (server < 0) continue;
      const auto& links = scenario.links[n];
      EXPECT_TRUE(std::any_of(
          links.begin(), links.end(), [&](const Link& link) { return link.server == server; }));
      ++taken[static_cast<std::size_t>(server)];
    }
    for (std::size_t m = 0; m < taken.size(); ++m) {
      EXPECT_LE(taken[m], scenario.servers[m].slots.value_or(1000));
    }
    for (const SlotShortage& shortage : matching.shortages) {
      EXPECT_EQ(shortage.slots + 1, static_cast<int>(shortage.users.size()));
      for (const int n : shortage.users) {
        for (const Link& link : scenario.links[static_cast<std::size_t>(n)]) {
          EXPECT_TRUE(
              std::binary_search(shortage.servers.begin(), shortage.servers.end(), link.server));
        }
      }
    }
  }
}

TEST(SlotMatching, NamesShortagesThatEndWithoutAnyOneOfTheirUsers) {
  Rng rng(22);
  int shortages = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const Scenario scenario = RandomLinks(&rng, 12, 6);
    for (const SlotShortage& shortage : MatchSlots(scenario).shortages) {
      ++shortages;
      for (const int left_out : shortage.users) {
        Scenario rest = scenario;
        rest.links.clear();
        for (const int n : shortage.users) {
          if (n != left_out) rest.links.push_back(scenario.links[static_cast<std::size_t>(n)]);
        }
        EXPECT_TRUE(MatchSlots(rest).shortages.empty()) << "trial " << trial;
      }
    }
  }
  EXPECT_GT(shortages, 100);
}

// A chain: user i reaches servers i and i + 1, one slot each, and user 0's only server is taken
// last. Every user must move by one.
TEST(SlotMatching, FollowsALongChainOfMoves) {
  constexpr int kUsers = 20'000;
  Scenario scenario;
  scenario.users.resize(kUsers);
  scenario.servers.resize(kUsers);
  for (Server& server : scenario.servers) server.slots = 1;
  for (int n = 0; n + 1 < kUsers; ++n) {
    scenario.links.push_back({{.server = n, .gain = 1.0}, {.server = n + 1, .gain = 1.0}});
  }
  scenario.links.push_back({{.server = 0, .gain = 1.0}});
  EXPECT_TRUE(MatchSlots(scenario).shortages.empty());
}

}  // namespace
}  // namespace dashf
