#include "runtime/clock_shares.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace dashf::runtime {
namespace {

constexpr bool kWorkConserving = true, kStrict = false;

std::string NameOf(std::size_t n) {
  return fmt::format("u{}", n);
}

// A server on which everybody always has a step to take.
struct Machine {
  explicit Machine(bool work_conserving) : shares(work_conserving) {}

  void Step(double cost_s) {
    const auto turn = shares.Next(now_s);
    ASSERT_TRUE(turn);
    now_s = std::max(now_s, turn->at_s) + cost_s;
    shares.Charge(turn->user, cost_s);
    served_s[turn->user] += cost_s;
    last = turn->user;
  }

  ClockShares shares;
  double now_s = 0.0;
  std::map<std::string, double> served_s;
  std::string last;
};

TEST(ClockShares, WhatAUserHasHadIsWithinOneStepOfItsShareAtAnyTime) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Machine machine(kWorkConserving);
    const std::size_t count = 1 + rng.Below(12);
    std::vector<double> share(count), step_s(count);
    double total = 0.0;
    for (std::size_t u = 0; u < count; ++u) {
      share[u] = std::exp(rng.Uniform(0.0, 5.0));
      step_s[u] = std::exp(rng.Uniform(-3.0, 1.0));
      total += share[u];
      machine.shares.Join(NameOf(u), share[u], 0.0);
    }
    // Per user, the most that it was behind and ahead: their sum bounds any window.
    std::vector<double> behind(count), ahead(count);
    double longest_s = 0.0;
    for (int step = 0; step < 3000; ++step) {
      const auto next = machine.shares.Next(machine.now_s);
      const auto u = static_cast<std::size_t>(std::stoi(next->user.substr(1)));
      const double cost_s = step_s[u] * rng.Uniform(0.9, 1.1);
      longest_s = std::max(longest_s, cost_s);
      machine.Step(cost_s);
      for (std::size_t v = 0; v < count; ++v) {
        const double lag = machine.now_s * share[v] / total - machine.served_s[NameOf(v)];
        behind[v] = std::max(behind[v], lag);
        ahead[v] = std::max(ahead[v], -lag);
      }
    }
    for (std::size_t v = 0; v < count; ++v) {
      EXPECT_LE(behind[v], longest_s) << NameOf(v);
      EXPECT_LE(ahead[v], longest_s) << NameOf(v);
    }
  }
}

TEST(ClockShares, WhoComesLateIsNextAndGetsNoBackPay) {
  Machine machine(kWorkConserving);
  machine.shares.Join("u0", 1.0, 0.0);
  machine.shares.Join("u1", 2.0, 0.0);
  for (int step = 0; step < 300; ++step) machine.Step(1.0);
  EXPECT_NEAR(machine.served_s["u1"], 200.0, 1.0);
  machine.shares.Join("u2", 1.0, machine.now_s);
  machine.Step(1.0);
  EXPECT_EQ(machine.last, "u2");
  for (int step = 0; step < 399; ++step) machine.Step(1.0);
  EXPECT_NEAR(machine.served_s["u2"], 100.0, 2.0);
  EXPECT_NEAR(machine.served_s["u1"], 400.0, 2.0);
}

TEST(ClockShares, WhoLeavesFreesItsShareInProportion) {
  Machine machine(kWorkConserving);
  machine.shares.Join("u0", 1.0, 0.0);
  machine.shares.Join("u1", 3.0, 0.0);
  machine.shares.Join("u2", 6.0, 0.0);
  for (int step = 0; step < 100; ++step) machine.Step(1.0);
  machine.shares.Leave("u2", machine.now_s);
  for (int step = 0; step < 400; ++step) machine.Step(1.0);
  EXPECT_NEAR(machine.served_s["u0"], 10.0 + 100.0, 2.0);
  EXPECT_NEAR(machine.served_s["u1"], 30.0 + 300.0, 2.0);
  machine.shares.Leave("u1", machine.now_s);
  machine.shares.Leave("u0", machine.now_s);
  EXPECT_FALSE(machine.shares.Next(machine.now_s));
  machine.shares.Join("u2", 1.0, machine.now_s);
  EXPECT_EQ(machine.shares.Next(machine.now_s)->user, "u2");
}

TEST(ClockShares, ComingGoingAndChangingSharesLeaveNobodyMoreThanTwoStepsFromItsShare) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Machine machine(kWorkConserving);
    std::map<std::string, double> share, owed_s;  // Owed: the fluid share since the last change.
    std::size_t names = 0;
    for (int change = 0; change < 60; ++change) {
      if (share.size() < 2 || rng.Below(2) == 0) {
        const std::string user = NameOf(names++);
        share[user] = rng.Uniform(0.1, 5.0);
        machine.shares.Join(user, share[user], machine.now_s);
      } else if (rng.Below(2) == 0) {
        machine.shares.Leave(share.begin()->first, machine.now_s);
        share.erase(share.begin());
      } else {
        share.begin()->second = rng.Uniform(0.1, 5.0);
        machine.shares.SetShare(share.begin()->first, share.begin()->second, machine.now_s);
      }
      double total = 0.0;
      for (const auto& [user, of] : share) total += of;
      const double begin_s = machine.now_s;
      machine.served_s.clear();
      for (int step = 0; step < 200; ++step) machine.Step(1.0);
      for (const auto& [user, of] : share) {
        EXPECT_NEAR(machine.served_s[user], (machine.now_s - begin_s) * of / total, 2.5) << user;
      }
    }
  }
}

TEST(ClockShares, KeptStrictlyAUserHasItsShareOfTimeAndTheRestIdles) {
  Machine machine(kStrict);
  machine.shares.Join("u0", 0.1, 0.0);
  machine.shares.Join("u1", 0.4, 0.0);
  while (machine.now_s < 1000.0) machine.Step(1.0);
  EXPECT_NEAR(machine.served_s["u0"], 100.0, 1.0);
  EXPECT_NEAR(machine.served_s["u1"], 400.0, 1.0);
  machine.shares.Leave("u1", machine.now_s);
  while (machine.now_s < 2000.0) machine.Step(1.0);
  EXPECT_NEAR(machine.served_s["u0"], 200.0, 1.0);  // Nothing of u1's.
  // Its last step is paid for when it has taken as long as at its share.
  EXPECT_NEAR(machine.shares.SettledAt("u0", machine.now_s), 10.0 * machine.served_s["u0"], 1e-6);
}

TEST(ClockShares, KeptStrictlyOnAServerThatIsAskedForTooMuchTheyShareInProportion) {
  Machine machine(kStrict);
  machine.shares.Join("u0", 0.5, 0.0);
  machine.shares.Join("u1", 1.5, 0.0);
  for (int step = 0; step < 400; ++step) machine.Step(1.0);
  EXPECT_NEAR(machine.served_s["u0"], 100.0, 2.0);
  EXPECT_NEAR(machine.now_s, 400.0, 1e-9);
}

// Every user has a whole to do in its time, in steps that take the machine what they take: less
// than they are planned to, all together, and each up to several times as long as another.
TEST(ClockShares, KeptStrictlyWorkOfAPlannedTimeIsOverThenHoweverUnevenStepsAre) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    ClockShares shares(kStrict);
    struct User {
      double planned_s, due_s;
      int steps, done = 0;
      double ended_s = 0.0;
    };
    std::vector<User> users;
    const std::size_t count = 1 + rng.Below(5);
    for (std::size_t u = 0; u < count; ++u) {
      const double planned_s = rng.Uniform(2.0, 20.0);
      users.push_back({planned_s, planned_s, 4 + static_cast<int>(rng.Below(30))});
      shares.Join(NameOf(u), 1.0 / planned_s, 0.0);
    }
    double now_s = 0.0, longest_s = 0.0;
    for (std::size_t left = count; left > 0;) {
      for (std::size_t u = 0; u < count; ++u) {
        const bool over = users[u].done == users[u].steps && users[u].ended_s == 0.0;
        if (!over || shares.SettledAt(NameOf(u), now_s) > now_s + 1e-9) continue;
        users[u].ended_s = now_s;
        shares.Leave(NameOf(u), now_s);
        --left;
      }
      const auto turn = shares.Next(now_s);
      if (!turn) break;
      const auto u = static_cast<std::size_t>(std::stoi(turn->user.substr(1)));
      now_s = std::max(now_s, turn->at_s);
      if (users[u].done == users[u].steps) continue;
      // At most a half of the machine is asked for.
      const double most_s =
          users[u].planned_s / users[u].steps / (2.0 * static_cast<double>(count));
      const double step_s = most_s * rng.Uniform(0.2, 1.0);
      longest_s = std::max(longest_s, step_s);
      now_s += step_s;
      shares.Charge(turn->user, 1.0 / users[u].steps);
      ++users[u].done;
    }
    for (std::size_t u = 0; u < count; ++u) {
      EXPECT_GE(users[u].ended_s, users[u].due_s - 1e-6) << NameOf(u);
      EXPECT_LE(users[u].ended_s, users[u].due_s + 2.0 * longest_s) << NameOf(u);
    }
  }
}

}  // namespace
}  // namespace dashf::runtime
