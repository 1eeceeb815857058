#include "certificate/cases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "certificate/verification.h"
#include "scenario/generator.h"

namespace dashf::certificate {
namespace {

using ::testing::HasSubstr;

Scenario Study(int users, int servers, DelayMode delay = DelayMode::kSum) {
  GeneratorOptions options;
  options.delay = delay;
  Scenario scenario = *GenerateStudy(users, servers, options, Rng(3));
  for (Server& server : scenario.servers) server.slots.reset();
  return scenario;
}

DeadlineBox SomeBox(const Scenario& scenario) {
  DeadlineBox box;
  for (const Server& server : scenario.servers) {
    box.servers.push_back({.bandwidth_per_hz = 0.4 / server.bandwidth_hz,
                           .power_per_w = 0.15 / server.tx_power_w_max,
                           .clock_per_hz = 0.9 / server.compute.clock_hz_max});
  }
  return box;
}

void AddRandomTree(const Scenario& scenario, int depth, Rng& rng, std::vector<CaseNode>* nodes) {
  if (depth == 0 || rng.Below(5) == 0) {
    nodes->emplace_back(ServerPrices{});
    return;
  }
  const int user = static_cast<int>(rng.Below(scenario.users.size()));
  const int low = static_cast<int>(rng.Below(16));
  if (rng.Below(3) == 0) {
    nodes->emplace_back(UsersMax{user});
  } else {
    nodes->emplace_back(UserWithin{user, low, low + static_cast<int>(rng.Below(16 - low + 1))});
  }
  AddRandomTree(scenario, depth - 1, rng, nodes);
  AddRandomTree(scenario, depth - 1, rng, nodes);
}

// `splits`: per user, or -1 if it is on another server.
bool Holds(const ServerCase& one, const std::vector<int>& splits) {
  const auto users =
      splits.size() - static_cast<std::size_t>(std::count(splits.begin(), splits.end(), -1));
  if (static_cast<int>(users) < one.users_min || static_cast<int>(users) > one.users_max) {
    return false;
  }
  return std::all_of(one.asked.begin(), one.asked.end(), [&](const UserCase& asked) {
    const int split = splits[static_cast<std::size_t>(asked.user)];
    return split < 0 ? asked.elsewhere : asked.allowed[static_cast<std::size_t>(split)];
  });
}

TEST(Cases, HoldEverySetOfUsersExactlyOnce) {
  const Scenario scenario = Study(4, 2);
  Rng rng(5);
  for (int i = 0; i < 300; ++i) {
    DeadlineBox box = SomeBox(scenario);
    box.user_worth.assign(4, 1.0);
    box.cases = {{1, {}}};
    AddRandomTree(scenario, 6, rng, &box.cases[0].nodes);
    ASSERT_TRUE(CheckCases(scenario, box, "cases"));
    for (int j = 0; j < 20; ++j) {
      std::vector<int> splits;
      for (int n = 0; n < 4; ++n) splits.push_back(static_cast<int>(rng.Below(18)) - 1);
      int held = 0;
      ForEachCase(scenario, box, 1, [&](const ServerCase& one) { held += Holds(one, splits); });
      EXPECT_EQ(held, 1);
    }
  }
}

// With each user worth its best psi no server gains from anyone: the bound without cases.
TEST(Cases, WithoutQuestionsBoundWhatPricesAloneDo) {
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    const Scenario scenario = Study(5, 2, delay);
    Certificate certificate{1.0, {SomeBox(scenario)}};
    DeadlineBox& box = certificate.boxes[0];
    if (delay == DelayMode::kMakespan) {
      box.user_phase_weight_per_s.assign(5, 0.19 * scenario.objective.delay_weight_per_s);
      box.server_phase_weight_per_s = box.user_phase_weight_per_s;
    }
    const double excess = SafeUpperBound(scenario, certificate, 1)->boxes[0].excess;
    // The least worth of one user at which no server gains from it, by bisection.
    const auto with = [&](std::size_t n, double worth) {
      box.user_worth.assign(5, 100.0);
      box.user_worth[n] = worth;
      return SafeUpperBound(scenario, certificate, 1)->boxes[0].excess - worth;
    };
    std::vector<double> best;
    for (std::size_t n = 0; n < 5; ++n) {
      double low = -100.0, high = 100.0;
      for (int i = 0; i < 50; ++i) {
        const double middle = 0.5 * (low + high);
        (with(n, middle) > with(n, 100.0) + 1e-9 ? low : high) = middle;
      }
      best.push_back(high);
    }
    box.user_worth = best;
    EXPECT_NEAR(SafeUpperBound(scenario, certificate, 1)->boxes[0].excess, excess, 1e-5);
  }
}

// At the same prices users choose one by one: one of the cases has all they choose.
TEST(Cases, AtTheSamePricesChangeNothingForAnyNumberOfThreads) {
  const Scenario scenario = Study(5, 2);
  Rng rng(6);
  Certificate certificate{1.0, {SomeBox(scenario)}};
  DeadlineBox& box = certificate.boxes[0];
  box.user_worth.assign(5, 0.7);
  const double whole = SafeUpperBound(scenario, certificate, 1)->boxes[0].excess;
  for (int i = 0; i < 40; ++i) {
    box.cases = {{0, {}}};
    AddRandomTree(scenario, 4, rng, &box.cases[0].nodes);
    for (CaseNode& node : box.cases[0].nodes) {
      if (std::holds_alternative<ServerPrices>(node)) node = box.servers[0];
    }
    const double excess = SafeUpperBound(scenario, certificate, 1)->boxes[0].excess;
    EXPECT_NEAR(excess, whole, 1e-6);
    EXPECT_EQ(SafeUpperBound(scenario, certificate, 3)->boxes[0].excess, excess);
  }
}

// A slot's price of either sign cancels where the number of users is known: with everyone so cheap
// that all five are wanted, the case of all five is the bound without cases.
TEST(Cases, CountUsersByASlotPriceOfEitherSign) {
  Scenario scenario = Study(5, 1);
  Certificate certificate{1.0, {SomeBox(scenario)}};
  DeadlineBox& box = certificate.boxes[0];
  const double all_five = SafeUpperBound(scenario, certificate, 1)->boxes[0].excess;
  box.user_worth.assign(5, -5.0);
  const auto excess = [&](double slot_few, double slot_many) {
    ServerPrices few = box.servers[0], many = few;
    few.slot = slot_few;
    many.slot = slot_many;
    box.cases = {{0, {UsersMax{4}, few, many}}};
    return SafeUpperBound(scenario, certificate, 1)->boxes[0].excess;
  };
  EXPECT_NEAR(excess(6.0, 0.0), all_five, 1e-5);
  EXPECT_NEAR(excess(6.0, -10.0), all_five, 1e-5);
  scenario.servers[0].slots = 4;  // No plan has five.
  EXPECT_LT(excess(6.0, -10.0), all_five - 1.0);
}

TEST(Cases, ThatAreMalformedAreRefused) {
  const Scenario scenario = Study(3, 2);
  const ServerPrices prices{};
  const double nan = std::nan("");
  const struct {
    std::vector<ServerCases> cases;
    const char* text;
  } bad[] = {{{{2, {prices}}}, "cases[0]: there is no server 2"},
             {{{-1, {prices}}}, "there is no server -1"},
             {{{0, {prices}}, {0, {prices}}}, "cases[1]: names server 0 a second time"},
             {{{0, {}}}, "nodes: must be a whole tree: 1 branches are missing"},
             {{{0, {UsersMax{1}, prices}}}, "1 branches are missing"},
             {{{0, {prices, prices}}}, "nodes[1]: comes after the tree's end"},
             {{{0, {UsersMax{4}, prices, prices}}}, "users_max must be 0 to 3, got 4"},
             {{{0, {UserWithin{3, 0, 1}, prices, prices}}}, "there is no user 3"},
             {{{0, {UserWithin{0, 2, 1}, prices, prices}}}, "min <= max <= 16, got 2, 1"},
             {{{0, {UserWithin{0, 0, 17}, prices, prices}}}, "got 0, 17"},
             {{{0, {ServerPrices{-1.0, 0, 0, 0}}}}, "prices must be numbers >= 0, got -1"},
             {{{0, {ServerPrices{0, nan, 0, 0}}}}, "prices must be numbers >= 0"},
             {{{0, {ServerPrices{0, 0, 0, nan}}}}, "slot must be a number"},
             {{{0, std::vector<CaseNode>(100, UsersMax{1})}}, "more than 64 questions"}};
  for (const auto& one : bad) {
    DeadlineBox box = SomeBox(scenario);
    box.user_worth.assign(3, 1.0);
    box.cases = one.cases;
    const auto verdict = SafeUpperBound(scenario, {1.0, {box}}, 1);
    ASSERT_FALSE(verdict) << one.text;
    EXPECT_EQ(verdict.error().kind, ErrorKind::kBadInput);
    EXPECT_THAT(verdict.error().Text(), HasSubstr(one.text));
  }
  DeadlineBox box = SomeBox(scenario);
  box.cases = {{0, {prices}}};
  EXPECT_FALSE(SafeUpperBound(scenario, {1.0, {box}}, 1));
  box.user_worth.assign(2, 1.0);
  EXPECT_FALSE(SafeUpperBound(scenario, {1.0, {box}}, 1));
  box.user_worth.assign(3, std::numeric_limits<double>::infinity());
  EXPECT_FALSE(SafeUpperBound(scenario, {1.0, {box}}, 1));
}

}  // namespace
}  // namespace dashf::certificate
