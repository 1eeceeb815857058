#include "solvers/reply.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/rng.h"
#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

using Eigen::Vector3d;

double Priced(const UserTerms& terms, const Vector3d& price, const Vector3d& x) {
  return ValueAtShares(terms, x) - price.dot(x);
}

// A grid of logarithmic steps, refined around its best points: no derivatives, no convexity.
double DenseMaximum(const UserTerms& terms, const Vector3d& price) {
  const bool used[3] = {terms.uses_bandwidth, terms.uses_power, terms.uses_clock};
  const auto axis = [](double low, double high, int points, int i) {
    return low * std::pow(high / low, static_cast<double>(i) / (points - 1));
  };
  double low[3] = {1e-7, 1e-7, 1e-7}, high[3] = {1.0, 1.0, 1.0};
  double best = -std::numeric_limits<double>::infinity();
  Vector3d at = Vector3d::Zero();
  for (int round = 0; round < 30; ++round) {
    const int points = round == 0 ? 36 : 9;
    for (int i = 0; i < (used[0] ? points : 1); ++i) {
      for (int j = 0; j < (used[1] ? points : 1); ++j) {
        for (int k = 0; k < (used[2] ? points : 1); ++k) {
          const Vector3d x(used[0] ? axis(low[0], high[0], points, i) : 0.0,
                           used[1] ? axis(low[1], high[1], points, j) : 0.0,
                           used[2] ? axis(low[2], high[2], points, k) : 0.0);
          const double value = Priced(terms, price, x);
          if (value > best) {
            best = value;
            at = x;
          }
        }
      }
    }
    for (int i = 0; i < 3; ++i) {
      const double shrink = round == 0 ? 0.15 : 0.6;
      const double width = std::pow(high[i] / low[i], shrink);
      low[i] = std::max(1e-9, at[i] / std::sqrt(width));
      high[i] = std::min(1.0, at[i] * std::sqrt(width));
      if (!used[i]) low[i] = high[i] = 1.0;
    }
  }
  return best;
}

struct Row {
  UserTerms terms;
  Vector3d price;
};

Row RandomRow(bool corners, Rng rng) {
  const Scenario scenario = testing::RandomScenario(
      {.users = 2, .servers = 1, .layers = 4, .all_local_allowed = true, .corners = corners},
      rng.Stream("scenario"));
  const ScrProblem problem = MakeScrProblem(scenario).value();
  const auto splits = static_cast<std::uint64_t>(problem.split_begin[1]);
  const double w_t = EffectiveDelayWeight(problem);
  const double y = std::pow(10.0, rng.Uniform(-5.0, -1.0));
  Row row{MakeUserTerms(problem, 0, 0, rng.Below(splits), y, {w_t, w_t}, false), {}};
  for (int i = 0; i < 3; ++i) {
    row.price[i] = rng.Below(8) == 0 ? 0.0 : std::pow(10.0, rng.Uniform(-2.0, 2.0));
  }
  return row;
}

TEST(Reply, IsWhatADenseSearchFinds) {
  Rng rng(1);
  for (int i = 0; i < 60; ++i) {
    const auto [terms, price] = RandomRow(i % 2 == 1, rng.Stream(static_cast<std::uint64_t>(i)));
    const Reply reply = SolveReplyFromSeveralStarts(terms, price, Vector3d::Constant(0.3));
    const double dense = DenseMaximum(terms, price);
    const double scale = terms.score_scale + std::abs(reply.psi);
    EXPECT_GE(reply.psi, dense - 1e-9 * scale) << "row " << i;
    EXPECT_LE(reply.psi, dense + 1e-4 * scale) << "row " << i;
    EXPECT_NEAR(reply.psi, Priced(terms, price, reply.share), 1e-9 * scale) << "row " << i;
  }
}

TEST(Reply, StaysBelowTheCeilingFromAnyShareAndReachesItFromItsOwn) {
  Rng rng(5);
  for (int i = 0; i < 300; ++i) {
    auto [terms, price] = RandomRow(i % 2 == 1, rng.Stream(static_cast<std::uint64_t>(i)));
    terms.download_energy = 0.0;
    const Reply reply = SolveReply(terms, price, Vector3d::Constant(0.3));
    const double scale = terms.score_scale + std::abs(reply.psi);
    const bool used[3] = {terms.uses_bandwidth, terms.uses_power, terms.uses_clock};
    Vector3d share;
    for (int j = 0; j < 3; ++j) share[j] = used[j] ? std::pow(10.0, rng.Uniform(-4.0, 0.0)) : 0.0;
    EXPECT_GE(CeilingFrom(terms, price, share), reply.psi - 1e-9 * scale) << "row " << i;
    EXPECT_NEAR(CeilingFrom(terms, price, reply.share), reply.psi, 1e-3 * scale) << "row " << i;
  }
}

// Danskin: the share is minus the slope of psi in the price, the yields its curvature.
TEST(Reply, DerivativesMatchFiniteDifferences) {
  Rng rng(2);
  int checked = 0;
  for (int i = 0; i < 200; ++i) {
    const auto [terms, price] = RandomRow(i % 2 == 1, rng.Stream(static_cast<std::uint64_t>(i)));
    const Reply reply = SolveReply(terms, price, Vector3d::Constant(0.3));
    if (reply.share.maxCoeff() >= 0.99 || price.minCoeff() == 0.0) continue;
    ++checked;
    for (int j = 0; j < 3; ++j) {
      const double h = 1e-4 * price[j];
      Vector3d up = price, down = price;
      up[j] += h;
      down[j] -= h;
      const Reply above = SolveReply(terms, up, reply.share);
      const Reply below = SolveReply(terms, down, reply.share);
      EXPECT_NEAR((below.psi - above.psi) / (2.0 * h), reply.share[j], 1e-5 * reply.share[j] + 1e-7)
          << "row " << i;
      for (int k = 0; k < 3; ++k) {
        EXPECT_NEAR((below.share[k] - above.share[k]) / (2.0 * h),
                    reply.yields(j, k),
                    1e-2 * std::sqrt(reply.yields(j, j) * reply.yields(k, k)) + 1e-9)
            << "row " << i;
      }
    }
  }
  EXPECT_GE(checked, 50);
}

}  // namespace
}  // namespace dashf::solvers::internal
