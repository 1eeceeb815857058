#include "solvers/resource_terms.h"

#include <gmock/gmock.h>

#include <Eigen/Eigenvalues>

#include <cmath>
#include <functional>

#include "solvers/testing.h"

namespace dashf::solvers::internal {
namespace {

double LogGoldenSection(const std::function<double(double)>& f, double low, double high) {
  const double shrink = 0.6180339887498949;
  double a = std::log(low), b = std::log(high);
  for (int i = 0; i < 120; ++i) {
    const double left = b - shrink * (b - a), right = a + shrink * (b - a);
    (f(std::exp(left)) < f(std::exp(right)) ? b : a) =
        f(std::exp(left)) < f(std::exp(right)) ? right : left;
  }
  return std::exp(0.5 * (a + b));
}

TEST(BestClock, MinimisesDelayAndEnergyOfLocalTraining) {
  Rng rng(1);
  for (int i = 0; i < 1000; ++i) {
    const double limit = rng.Uniform(0.5e9, 3e9), kappa = std::exp(rng.Uniform(-4, 4)) * 1e-27;
    const double w_t = rng.Uniform(0.01, 2), w_e = rng.Uniform(0.01, 2);
    const auto cost = [&](double f) { return w_t / f + w_e * kappa * f * f; };
    const double found = BestClockHz(limit, kappa, w_t, w_e);
    EXPECT_LE(cost(found), cost(LogGoldenSection(cost, 1e5, limit)) * (1 + 1e-12));
    EXPECT_LE(found, limit);
  }
}

TEST(BestClock, IsTheLimitWhereEnergyIsFree) {
  EXPECT_EQ(BestClockHz(2e9, 0.0, 1.0, 1.0), 2e9);
  EXPECT_EQ(BestClockHz(2e9, 1e-27, 1.0, 0.0), 2e9);
}

TEST(BestPower, MinimisesDelayAndEnergyOfTheUpload) {
  Rng rng(2);
  int inside = 0;
  for (int i = 0; i < 2000; ++i) {
    const double limit = rng.Uniform(0.05, 0.5),
                 b = std::exp(rng.Uniform(std::log(1e4), std::log(2e7)));
    const double snr = std::exp(rng.Uniform(std::log(1e2), std::log(1e12)));
    const double w_t = std::exp(rng.Uniform(-8, 1)), w_e = rng.Uniform(0.1, 2);
    const auto cost = [&](double p) { return (w_t + w_e * p) / (b * std::log1p(snr * p / b)); };
    const double found = BestPowerW(limit, b, snr, w_t, w_e);
    EXPECT_LE(cost(found), cost(LogGoldenSection(cost, 1e-12, limit)) * (1 + 1e-10));
    EXPECT_GT(found, 0.0);
    EXPECT_LE(found, limit);
    inside += found < limit;
  }
  EXPECT_GT(inside, 200);  // Both branches were met.
  EXPECT_LT(inside, 1800);
}

struct Case {
  UserTerms terms;
  Point x;
  Barriers barriers;
};

// A random user at a random interior point.
Case RandomCase(DelayMode delay, std::uint64_t seed) {
  Rng rng = Rng(seed).Stream("case");
  const Scenario scenario = testing::RandomScenario({.users = 1,
                                                     .servers = 1,
                                                     .delay = delay,
                                                     .all_local_allowed = true,
                                                     .corners = seed % 2 == 0},
                                                    Rng(seed));
  const ScrProblem problem = MakeScrProblem(scenario).value();
  const int k = problem.split_layers[rng.Below(problem.split_layers.size())];
  Case out;
  const double w_t = std::max(problem.delay_weight_per_s, 1e-3);
  const bool makespan = delay == DelayMode::kMakespan;
  out.terms = MakeUserTerms(problem, 0, {0, k}, 0.3, {w_t, w_t}, makespan);
  out.x = Point::Zero();
  if (out.terms.uses_bandwidth) out.x[0] = rng.Uniform(0.05, 0.9);
  if (out.terms.uses_power) out.x[1] = rng.Uniform(0.05, 0.9);
  if (out.terms.uses_clock) out.x[2] = rng.Uniform(0.05, 0.9);
  if (!makespan) return out;
  if (out.terms.uploads) {
    const double least =
        out.terms.upload_s / (out.x[0] * std::log1p(out.terms.upload_snr / out.x[0]));
    out.x[3] = least * rng.Uniform(1.1, 3.0);
  }
  out.barriers = {(out.x[3] + out.terms.local_s_min) * rng.Uniform(1.1, 3.0),
                  ServerPhaseS(out.terms, out.x) * rng.Uniform(1.1, 3.0)};
  return out;
}

// One variable of (beta, theta, sigma, t, T_u, T_s) moved by a relative step.
double ValueAt(const Case& at, int variable, double relative, double mu) {
  Case moved = at;
  (variable < 4 ? moved.x[variable] : moved.barriers[variable - 4]) *= 1.0 + relative;
  return Value(moved.terms, moved.x, moved.barriers, mu);
}

TEST(UserTermsDerivatives, AreTheValuesOwn) {
  constexpr double kStep = 1e-6, kMu = 0.01;
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      const Case at = RandomCase(delay, seed);
      opt::ArrowBlock block{};
      opt::ArrowSystem system{};
      system.border_gradient.setZero();
      system.border_hessian.setZero();
      AddDerivatives(at.terms, at.x, at.barriers, kMu, &block, &system);
      const double size = 1.0 + std::abs(Value(at.terms, at.x, at.barriers, kMu));
      for (int i = 0; i < 6; ++i) {
        const double v = i < 4 ? at.x[i] : at.barriers[i - 4];
        const double gradient = i < 4 ? block.gradient[i] : system.border_gradient[i - 4];
        // In units of the variable itself, so that one tolerance fits shares and seconds.
        const double numeric =
            (ValueAt(at, i, kStep, kMu) - ValueAt(at, i, -kStep, kMu)) / (2 * kStep);
        EXPECT_NEAR(gradient * v, numeric, 1e-6 * size + 1e-5 * std::abs(numeric))
            << "seed " << seed << " variable " << i;
      }
    }
  }
}

// The whole Hessian of one user, border included, against differences of the gradient. Without
// download energy nothing is majorised and the two agree; with it the majorant's is the larger.
TEST(UserTermsDerivatives, HaveTheExactHessianWhereNothingIsMajorised) {
  constexpr double kStep = 1e-5, kMu = 0.01;
  using Matrix6 = Eigen::Matrix<double, 6, 6>;
  using Vector6 = Eigen::Matrix<double, 6, 1>;
  const auto derivatives = [&](const Case& at, Matrix6* hessian) {
    opt::ArrowBlock block{};
    opt::ArrowSystem system{};
    system.border_gradient.setZero();
    system.border_hessian.setZero();
    AddDerivatives(at.terms, at.x, at.barriers, kMu, &block, &system);
    if (hessian != nullptr) {
      *hessian << block.hessian, block.cross, block.cross.transpose(), system.border_hessian;
    }
    Vector6 gradient;
    gradient << block.gradient, system.border_gradient;
    return gradient;
  };
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      Case at = RandomCase(delay, seed);
      Matrix6 majorant;
      derivatives(at, &majorant);
      at.terms.download_energy = 0.0;
      Matrix6 hessian;
      derivatives(at, &hessian);
      Vector6 scale;
      scale << at.x, at.barriers;
      // A majorant of a part adds curvature in every direction.
      const Matrix6 scaled = scale.asDiagonal() * hessian * scale.asDiagonal();
      const Matrix6 added = scale.asDiagonal() * (majorant - hessian) * scale.asDiagonal();
      const Eigen::SelfAdjointEigenSolver<Matrix6> spectrum(added);
      EXPECT_GE(spectrum.eigenvalues()[0], -1e-9 * (1 + added.norm())) << "seed " << seed;
      for (int i = 0; i < 6; ++i) {
        if (scale[i] == 0.0) continue;  // Unused: a unit row.
        Case above = at, below = at;
        (i < 4 ? above.x[i] : above.barriers[i - 4]) *= 1 + kStep;
        (i < 4 ? below.x[i] : below.barriers[i - 4]) *= 1 - kStep;
        const Vector6 numeric =
            scale.cwiseProduct(derivatives(above, nullptr) - derivatives(below, nullptr)) /
            (2 * kStep);
        EXPECT_LT((scaled.col(i) - numeric).norm(), 1e-5 * (1 + scaled.norm()))
            << "seed " << seed << " variable " << i;
      }
    }
  }
}

}  // namespace
}  // namespace dashf::solvers::internal
