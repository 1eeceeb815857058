#include "solvers/deadline_reply.h"

#include <gtest/gtest.h>

#include <cmath>

#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

struct Row {
  ScrProblem problem;
  std::size_t link = 0, split = 0;
  Eigen::Vector3d price = Eigen::Vector3d::Zero();
  double y = 0.0;
  Eigen::Vector2d least_s;
};

Row RandomRow(std::uint64_t seed) {
  Rng rng = Rng(seed).Stream("row");
  Row row;
  row.problem =
      *MakeScrProblem(testing::RandomScenario({.users = 3, .delay = DelayMode::kMakespan}, rng));
  row.link = rng.Below(static_cast<std::uint64_t>(row.problem.link_begin[1]));
  row.split = rng.Below(static_cast<std::uint64_t>(row.problem.split_begin[1]));
  for (int i = 0; i < 3; ++i) row.price[i] = row.problem.score_scale * rng.Uniform(0.2, 3.0);
  row.y = row.problem.score_scale * std::exp(rng.Uniform(-9.0, -4.0));
  row.least_s = LeastPhases(row.problem, 0, row.link, row.split);
  return row;
}

DeadlineReply ReplyTo(const Row& row, const PhaseCharges& charges) {
  const double weight = row.problem.delay_weight_per_s / 3.0;
  return SolveDeadlineReply(row.problem,
                            0,
                            row.link,
                            row.split,
                            row.y,
                            row.price,
                            charges,
                            Eigen::Vector3d::Constant(0.3),
                            Eigen::Vector2d::Constant(weight),
                            true);
}

// What the user gains over what it pays, and how long it takes, at given shares.
struct Outcome {
  double value = 0.0;
  Eigen::Vector2d time_s;
};

Outcome OutcomeAt(const Row& row, const Eigen::Vector3d& share, double user_weight_per_s) {
  Point x = Point::Zero();
  x.head<3>() = share;
  const Choice choice{row.problem.link_server[row.link], row.problem.split_layers[row.split]};
  const UserTotals totals =
      TotalsOf(row.problem, 0, DecideAtPrices(row.problem, 0, choice, x, user_weight_per_s));
  return {totals.score - row.y * row.problem.energy_weight_per_j * totals.energy_j -
              row.price.dot(share),
          {totals.user_phase_s, totals.server_phase_s}};
}

PhaseCharges Deadlines(const Row& row, double user_s, double server_s) {
  const double w_t = row.problem.delay_weight_per_s;
  return {{0.0, user_s, user_s}, {0.0, server_s, server_s}, 1e-8 * w_t, 1e6 * w_t};
}

// The multipliers may fail to settle where a deadline leaves next to no choice; psi is an upper
// bound all the same.
TEST(DeadlineReply, KeepsItsDeadlinesAndIsWorthWhatItsSharesBring) {
  int kept = 0;
  constexpr int kRows = 200;
  for (std::uint64_t seed = 1; seed <= kRows; ++seed) {
    const Row row = RandomRow(seed);
    for (const double slack : {1.05, 1.5, 5.0}) {
      const Eigen::Vector2d deadline_s = slack * row.least_s;
      const DeadlineReply met = ReplyTo(row, Deadlines(row, deadline_s[0], deadline_s[1]));
      const Outcome outcome = OutcomeAt(row, met.reply.share, met.weight_per_s[0]);
      if ((outcome.time_s.array() > (1 + 1e-5) * deadline_s.array()).any()) continue;
      const double tolerance = 1e-5 * (row.problem.score_scale + std::abs(met.reply.psi));
      // Deadlines are kept to 1e-5, which at a steep multiplier is worth more than 1e-5.
      EXPECT_GE(met.reply.psi, outcome.value - 10.0 * tolerance) << seed << " " << slack;
      kept += met.reply.psi <= outcome.value + tolerance;
    }
  }
  EXPECT_GT(kept, 3 * kRows * 95 / 100);
}

TEST(DeadlineReply, IsNeverBelowWhatAnySharesWithinTheDeadlinesBring) {
  int within = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Row row = RandomRow(seed);
    const Eigen::Vector2d deadline_s = 3.0 * row.least_s;
    const double psi = ReplyTo(row, Deadlines(row, deadline_s[0], deadline_s[1])).reply.psi;
    Rng rng = Rng(seed).Stream("shares");
    const UserTerms terms =
        MakeUserTerms(row.problem, 0, row.link, row.split, row.y, {1.0, 1.0}, false);
    for (int i = 0; i < 200; ++i) {
      const Eigen::Vector3d share(terms.uses_bandwidth ? std::pow(rng.Uniform(), 2.0) : 0.0,
                                  terms.uses_power ? std::pow(rng.Uniform(), 2.0) : 0.0,
                                  terms.uses_clock ? std::pow(rng.Uniform(), 2.0) : 0.0);
      const double weight = row.problem.delay_weight_per_s * std::exp(rng.Uniform(-8.0, 4.0));
      const Outcome outcome = OutcomeAt(row, share, weight);
      if ((outcome.time_s.array() > deadline_s.array()).any()) continue;
      ++within;
      EXPECT_LE(outcome.value, psi + 1e-7 * row.problem.score_scale) << seed;
    }
  }
  EXPECT_GT(within, 1000);
}

// A wider box lets the user end where it likes: it can only gain.
TEST(DeadlineReply, GrowsWithTheBox) {
  int shrunk = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Row row = RandomRow(seed);
    const double weight = row.problem.delay_weight_per_s / 5.0;
    double last = -std::numeric_limits<double>::infinity();
    for (const double width : {1.0, 1.02, 1.2, 2.0, 20.0}) {
      PhaseCharges charges = Deadlines(row, 0.0, 0.0);
      for (int i = 0; i < 2; ++i) {
        const double middle = 2.0 * row.least_s[i];
        (i == 0 ? charges.user : charges.server) = {weight, middle / width, middle * width};
      }
      const double psi = ReplyTo(row, charges).reply.psi;
      shrunk += psi < last - 1e-6 * (row.problem.score_scale + std::abs(psi));
      last = psi;
    }
  }
  EXPECT_LE(shrunk, 5);  // Of 400: where the multipliers did not settle.
}

}  // namespace
}  // namespace dashf::solvers::internal
