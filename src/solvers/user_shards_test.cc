#include "solvers/user_shards.h"

#include <gmock/gmock.h>

#include <limits>

#include "base/ranks_testing.h"
#include "solvers/price_search.h"
#include "solvers/prices.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

using internal::Columns;
using internal::DualPoint;
using internal::DualSums;
using internal::PricedUsers;
using internal::ServerVector;

constexpr double kEverything = std::numeric_limits<double>::infinity();

// Everything that users are asked at some prices, on `count` ranks.
struct Answers {
  DualSums refreshed, swept;
  ServerVector product;
  std::vector<int> kept;
  std::vector<float> psi;
};

Answers Ask(int count, const ScrProblem& problem, const Columns& columns) {
  Answers answers;
  dashf::testing::OnRanks(count, [&](Ranks* ranks) {
    if (ranks->rank() != 0) return ReplyForRankZero(ranks);
    PricedUsers users(problem, columns, 1, ranks);
    const DualPoint at = internal::FirstPrices(problem, columns, 1e-3);
    answers.refreshed = users.Refresh(at, kEverything, 5, true);
    answers.swept = users.Sweep(at, 0.05);
    users.Times(at.price, 0.05, &answers.product);
    users.Gather();
    for (const auto& chunk : users.chunks()) {
      answers.kept.insert(answers.kept.end(), chunk.column.begin(), chunk.column.end());
      EXPECT_EQ(chunk.begin.size(), chunk.user_end - chunk.user_begin + 1);
    }
    answers.psi = users.psi();
    EndReplies(ranks);
  });
  return answers;
}

// 1,100 users are three chunks: two ranks have unequal parts, of five some have no users.
TEST(UserShards, ReplyToTheLastBitAsOneProcess) {
  const Scenario scenario =
      testing::RandomScenario({.users = 1100, .servers = 4, .corners = true}, Rng(2));
  const ScrProblem problem = MakeScrProblem(scenario).value();
  const Columns columns = internal::MakeColumns(problem, true);
  const Answers one = Ask(1, problem, columns);
  for (const int count : {2, 3, 5}) {
    SCOPED_TRACE(count);
    const Answers several = Ask(count, problem, columns);
    EXPECT_EQ(several.refreshed.value, one.refreshed.value);
    EXPECT_EQ(several.refreshed.cost, one.refreshed.cost);
    EXPECT_EQ(several.swept.value, one.swept.value);
    EXPECT_EQ(several.swept.best, one.swept.best);
    EXPECT_EQ(several.swept.excess, one.swept.excess);
    EXPECT_EQ(several.swept.diagonal, one.swept.diagonal);
    EXPECT_EQ(several.product, one.product);
    EXPECT_EQ(several.kept, one.kept);
    EXPECT_EQ(several.psi, one.psi);
  }
}

// Where delay is free its stand-in depends on all users; where slots are few every psi is needed.
TEST(UserShards, GiveThePlanOfOneProcess) {
  Scenario scenario = testing::RandomScenario({.users = 600, .servers = 3}, Rng(1));
  scenario.objective.delay_weight_per_s = 0.0;
  scenario.servers.front().slots = 100;
  // What follows the search and the rounding is rank 0's alone.
  const SolveOptions options{.gap_target = 1.0, .on_iteration = {}};
  const SolveResult one = SolvePrices(scenario, options).value();
  SolveResult three;
  dashf::testing::OnRanks(3, [&](Ranks* ranks) {
    if (ranks->rank() != 0) return ReplyForRankZero(ranks);
    SolveOptions shared = options;
    shared.ranks = ranks;
    shared.threads = 2;
    three = SolvePrices(scenario, shared).value();
    EndReplies(ranks);
  });
  EXPECT_EQ(three.certificate.value().scr_upper, one.certificate.value().scr_upper);
  ASSERT_EQ(three.plan.size(), one.plan.size());
  for (std::size_t n = 0; n < one.plan.size(); ++n) {
    EXPECT_EQ(three.plan[n].server, one.plan[n].server);
    EXPECT_EQ(three.plan[n].local_layers, one.plan[n].local_layers);
    EXPECT_EQ(three.plan[n].bandwidth_hz, one.plan[n].bandwidth_hz);
    EXPECT_EQ(three.plan[n].server_clock_hz, one.plan[n].server_clock_hz);
  }
}

TEST(UserShards, ShareOutEveryChunkOnceInOrder) {
  for (const int ranks : {1, 2, 3, 5, 16}) {
    std::size_t next = 0;
    for (int place = 0; place < ranks; ++place) {
      const auto own = internal::OwnChunks((place + 1) % ranks, ranks, 11);
      EXPECT_EQ(own.begin, next);
      next = own.end;
    }
    EXPECT_EQ(next, 11U);
  }
}

}  // namespace
}  // namespace dashf::solvers
