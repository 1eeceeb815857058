#include "solvers/reply.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "opt/fractional.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
enum { kBeta, kTheta, kSigma };

// -value + price' x at a point, the Hessian's upper triangle alone. With `convex` the Hessian is
// that of the convex majorant.
struct Local {
  double value = kInfinity;
  double score = 0.0;
  Eigen::Vector3d gradient = Eigen::Vector3d::Zero();
  Eigen::Matrix3d hessian = Eigen::Matrix3d::Zero();
};

// (tau + epsilon theta) d / r(beta, theta), the download's time and energy.
void AddDownload(const UserTerms& terms, const Eigen::Vector3d& x, bool convex, Local* local) {
  const double beta = x[kBeta], ratio = terms.download_snr * x[kTheta] / beta;
  const double u = 1.0 + ratio, log_u = std::log1p(ratio), w = ratio / u;
  const double rate = beta * log_u;
  const double r_b = ratio < 1e-3 ? LogExcess(ratio) : log_u - w, r_t = terms.download_snr / u;
  const double r_bb = -w * w / beta, r_bt = r_t * w / beta, r_tt = -r_t * r_t / beta;
  const double inverse = 1.0 / rate, inverse2 = inverse * inverse;
  const double energy = terms.download_energy * terms.download_s;
  const double time = terms.download_time * terms.download_s;
  const double whole = time + energy * x[kTheta];
  local->value += whole * inverse;
  local->gradient[kBeta] -= whole * r_b * inverse2;
  local->gradient[kTheta] += energy * inverse - whole * r_t * inverse2;
  const double n = convex ? time : whole;
  const double first = n * inverse2, second = 2.0 * first * inverse;
  local->hessian(kBeta, kBeta) += second * r_b * r_b - first * r_bb;
  local->hessian(kBeta, kTheta) += second * r_b * r_t - first * r_bt;
  local->hessian(kTheta, kTheta) += second * r_t * r_t - first * r_tt;
  if (!(energy > 0.0)) return;
  if (!convex) {
    local->hessian(kBeta, kTheta) -= energy * r_b * inverse2;
    local->hessian(kTheta, kTheta) -= 2.0 * energy * r_t * inverse2;
    return;
  }
  // The energy's majorant: phi(ratio) = ratio / ln(1 + ratio) is concave; its tangent's slope times
  // the fractional technique's majorant of the ratio (8).
  const double slope = energy / terms.download_snr * LogExcess(ratio) / (log_u * log_u);
  const opt::Jet2 a{.value = slope * terms.download_snr * x[kTheta],
                    .dy = slope * terms.download_snr};
  const opt::Jet2 b{.value = beta, .dx = 1.0};
  const opt::Jet2 over = opt::MajorizedRatio(a, b, opt::TightWeight(a.value, b.value));
  local->hessian(kBeta, kBeta) += over.dxx;
  local->hessian(kBeta, kTheta) += over.dxy;
  local->hessian(kTheta, kTheta) += over.dyy;
}

Local Evaluate(const UserTerms& terms,
               const Eigen::Vector3d& price,
               const Eigen::Vector3d& x,
               bool convex) {
  Local local;
  const double granted = 1.0 + terms.score_gain * (x[kBeta] + x[kTheta] + x[kSigma]);
  const double slope = terms.score_scale * terms.score_gain / granted;
  const double curvature = slope * terms.score_gain / granted;
  local.score = terms.score_scale * std::log(granted);
  local.value = terms.fixed_cost - local.score + price.dot(x);
  local.gradient = price.array() - slope;
  local.hessian.setConstant(curvature);
  if (terms.uses_clock) {
    const double sigma = x[kSigma], time = terms.clock_time * terms.clock_s / sigma;
    local.value += time + terms.clock_energy * sigma * sigma;
    local.gradient[kSigma] += 2.0 * terms.clock_energy * sigma - time / sigma;
    local.hessian(kSigma, kSigma) += 2.0 * (terms.clock_energy + time / (sigma * sigma));
  }
  if (terms.uploads) {
    const Jet1 upload = UploadCost(terms, x[kBeta]);
    local.value += upload.value;
    local.gradient[kBeta] += upload.d;
    local.hessian(kBeta, kBeta) += upload.dd;
  }
  if (terms.uses_power) AddDownload(terms, x, convex, &local);
  return local;
}

// Solves the Newton system of the free entries by L D L'; `inverse` gets their inverse Hessian.
// False if it is not positive definite.
bool SolveFree(const Local& at,
               const bool free[3],
               Eigen::Vector3d* step,
               Eigen::Matrix3d* inverse) {
  Eigen::Matrix3d h = at.hessian;
  Eigen::Vector3d g = at.gradient;
  for (int i = 0; i < 3; ++i) {
    if (free[i]) continue;
    h.row(i).setZero();
    h.col(i).setZero();
    h(i, i) = 1.0;
    g[i] = 0.0;
  }
  // Scaled to a unit diagonal: the shares may differ by orders of magnitude.
  Eigen::Vector3d scale;
  for (int i = 0; i < 3; ++i) {
    if (!(h(i, i) > 0.0) || !std::isfinite(h(i, i))) return false;
    scale[i] = 1.0 / std::sqrt(h(i, i));
  }
  const double a = h(0, 1) * scale[0] * scale[1], b = h(0, 2) * scale[0] * scale[2];
  const double c = h(1, 2) * scale[1] * scale[2];
  const double d1 = 1.0 - a * a, e = c - a * b;
  const double determinant = d1 * (1.0 - b * b) - e * e;
  constexpr double kSingular = 1e-14;
  if (!(d1 > kSingular) || !(determinant > kSingular)) return false;
  // The adjugate of [1 a b; a 1 c; b c 1] over its determinant.
  const double r = 1.0 / determinant;
  Eigen::Matrix3d& k = *inverse;
  k(0, 0) = (1.0 - c * c) * r * scale[0] * scale[0];
  k(1, 1) = (1.0 - b * b) * r * scale[1] * scale[1];
  k(2, 2) = (1.0 - a * a) * r * scale[2] * scale[2];
  k(0, 1) = k(1, 0) = (b * c - a) * r * scale[0] * scale[1];
  k(0, 2) = k(2, 0) = (a * c - b) * r * scale[0] * scale[2];
  k(1, 2) = k(2, 1) = (a * b - c) * r * scale[1] * scale[2];
  *step = -(k * g);
  return step->allFinite();
}

// Newton's step of the free shares; where the true Hessian is not positive definite that of the
// convex majorant, and where that bends in too few directions, of it with a ridge. False if nothing
// helps.
bool NewtonStep(const UserTerms& terms,
                const Eigen::Vector3d& price,
                const Eigen::Vector3d& x,
                const Local& at,
                const bool free[3],
                Eigen::Vector3d* step,
                Eigen::Matrix3d* inverse) {
  constexpr double kRidge = 1e-6;
  if (SolveFree(at, free, step, inverse)) return true;
  Local convex = Evaluate(terms, price, x, true);
  if (SolveFree(convex, free, step, inverse)) return true;
  // Where the score is all that bends, its curvature has rank 1: no share may move farther than
  // about its own size.
  for (int j = 0; j < 3; ++j) {
    convex.hessian(j, j) =
        convex.hessian(j, j) * (1.0 + kRidge) + std::abs(convex.gradient[j]) / x[j];
  }
  return SolveFree(convex, free, step, inverse);
}

}  // namespace

Reply SolveReply(const UserTerms& terms,
                 const Eigen::Vector3d& price,
                 const Eigen::Vector3d& start) {
  constexpr int kStepsMax = 100, kHalvingsMax = 40;
  constexpr double kShareMin = 1e-12, kShrinkMax = 0.9, kMoveMax = 1e-3;
  const bool used[3] = {terms.uses_bandwidth, terms.uses_power, terms.uses_clock};
  Reply reply;
  reply.yields.setZero();
  Eigen::Vector3d x;
  for (int i = 0; i < 3; ++i) x[i] = used[i] ? std::clamp(start[i], kShareMin, 1.0) : 0.0;
  Local at = Evaluate(terms, price, x, false);
  Eigen::Vector3d step = Eigen::Vector3d::Zero();
  for (int i = 0; i < kStepsMax; ++i) {
    bool free[3];
    for (int j = 0; j < 3; ++j) free[j] = used[j] && !(x[j] >= 1.0 && at.gradient[j] < 0.0);
    if (!free[0] && !free[1] && !free[2]) break;
    Eigen::Matrix3d inverse;
    if (!NewtonStep(terms, price, x, at, free, &step, &inverse)) break;
    double decrement = 0.0, longest = 1.0, farthest = 0.0;
    for (int j = 0; j < 3; ++j) {
      if (!free[j]) continue;
      decrement -= at.gradient[j] * step[j];
      farthest = std::max(farthest, std::abs(step[j]) / x[j]);
      if (step[j] < 0.0) longest = std::min(longest, -kShrinkMax * x[j] / step[j]);
    }
    const double tolerance = 1e-10 * terms.score_scale + 1e-14 * std::abs(at.value);
    // Where time costs next to nothing a share of 1e-10 may be right: it is to settle, too, for its
    // slope may be steep where its value is not.
    const bool last = decrement <= tolerance && farthest <= kMoveMax;
    const auto moved = [&](double length) { return (x + length * step).cwiseMin(1.0).eval(); };
    if (last) {
      x = moved(longest);
      at.value -= 0.5 * decrement;
      for (int j = 0; j < 3; ++j) {
        if (free[j]) continue;
        inverse.row(j).setZero();
        inverse.col(j).setZero();
      }
      reply.yields = inverse;
      break;
    }
    int halvings = 0;
    for (;; longest *= 0.5, ++halvings) {
      const Eigen::Vector3d trial = moved(longest);
      const Local there = Evaluate(terms, price, trial, false);
      if (there.value <= at.value - 1e-4 * longest * decrement) {
        x = trial;
        at = there;
        break;
      }
      if (halvings == kHalvingsMax) break;
    }
    if (halvings == kHalvingsMax) break;
  }
  reply.psi = -at.value;
  reply.share = x;
  reply.cost = at.score + at.value - price.dot(x);
  return reply;
}

Reply SolveReplyFromSeveralStarts(const UserTerms& terms,
                                  const Eigen::Vector3d& price,
                                  const Eigen::Vector3d& start) {
  Reply best = SolveReply(terms, price, start);
  if (!terms.uses_power || !(terms.download_energy > 0.0)) return best;
  for (const double power : {1e-4, 1e-2, 0.3, 1.0}) {
    Eigen::Vector3d from = best.share;
    from[kTheta] = power;
    const Reply reply = SolveReply(terms, price, from);
    if (reply.psi > best.psi) best = reply;
  }
  return best;
}

double CeilingFrom(const UserTerms& terms,
                   const Eigen::Vector3d& price,
                   const Eigen::Vector3d& share) {
  const bool used[3] = {terms.uses_bandwidth, terms.uses_power, terms.uses_clock};
  const Local at = Evaluate(terms, price, share, false);
  double ceiling = -at.value;
  for (int i = 0; i < 3; ++i) {
    if (!used[i]) continue;
    const double slope = -at.gradient[i];
    ceiling += slope > 0.0 ? slope * (1.0 - share[i]) : -slope * share[i];
  }
  return ceiling;
}

double ValueAtShares(const UserTerms& terms, const Eigen::Vector3d& share) {
  if ((terms.uses_bandwidth && !(share[kBeta] > 0.0)) ||
      (terms.uses_power && !(share[kTheta] > 0.0)) ||
      (terms.uses_clock && !(share[kSigma] > 0.0))) {
    return -kInfinity;
  }
  return -Evaluate(terms, Eigen::Vector3d::Zero(), share, false).value;
}

Eigen::Vector3d MarginalValue(const UserTerms& terms, const Eigen::Vector3d& share) {
  const Local at = Evaluate(terms, Eigen::Vector3d::Zero(), share, false);
  return -at.gradient.cwiseProduct(
      Eigen::Vector3d(terms.uses_bandwidth, terms.uses_power, terms.uses_clock));
}

}  // namespace dashf::solvers::internal
