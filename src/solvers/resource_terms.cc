#include "solvers/resource_terms.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/check.h"
#include "opt/fractional.h"
#include "opt/lambert_w.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
enum { kBeta, kTheta, kSigma, kTime };  // Rows of a Point.

// beta ln(1 + snr theta / beta), the rate in nats per share, in (beta, theta): jointly concave.
opt::Jet2 Rate(double snr, double beta, double theta) {
  const double x = snr * theta / beta, u = 1.0 + x;
  opt::Jet2 rate;
  rate.value = beta * std::log1p(x);
  rate.dx = LogExcess(x);
  rate.dy = snr / u;
  rate.dxx = -x * x / (beta * u * u);
  rate.dxy = snr * x / (beta * u * u);
  rate.dyy = -snr * snr / (beta * u * u);
  return rate;
}

// a / r for r > 0 concave: convex.
opt::Jet2 Reciprocal(double a, const opt::Jet2& r) {
  const double first = a / (r.value * r.value), second = 2.0 * first / r.value;
  return {a / r.value,
          -first * r.dx,
          -first * r.dy,
          second * r.dx * r.dx - first * r.dxx,
          second * r.dx * r.dy - first * r.dxy,
          second * r.dy * r.dy - first * r.dyy};
}

void Add(const opt::Jet2& f, opt::ArrowBlock* block) {
  block->gradient[kBeta] += f.dx;
  block->gradient[kTheta] += f.dy;
  block->hessian(kBeta, kBeta) += f.dxx;
  block->hessian(kBeta, kTheta) += f.dxy;
  block->hessian(kTheta, kBeta) += f.dxy;
  block->hessian(kTheta, kTheta) += f.dyy;
}

// ln u at the power that minimises (w_t + w_e p) / r, where it is below the limit; `branch` is
// w_t g / (w_e N0 b). Negative where the power limit binds.
double LogOfBestSnr(double branch, double snr_at_max) {
  const double v_max = std::log1p(snr_at_max);
  if (!(branch < opt::BranchDistance(v_max))) return -1.0;
  return opt::InverseBranchDistance(branch);
}

// Makespan's upload energy over its coefficient, (e^c - 1) / c with c = upload_s / (beta t).
double UploadEnergyFactor(const UserTerms& terms, double beta, double time_s) {
  const double c = terms.upload_s / (beta * time_s);
  return std::expm1(c) / c;
}

void AddScore(const UserTerms& terms, const Point& x, opt::ArrowBlock* block) {
  const double granted = 1.0 + terms.score_gain * (x[kBeta] + x[kTheta] + x[kSigma]);
  const double slope = terms.score_scale * terms.score_gain / granted;
  const double curvature = slope * terms.score_gain / granted;
  const Eigen::Vector3d used(terms.uses_bandwidth, terms.uses_power, terms.uses_clock);
  block->gradient.head<3>() -= slope * used;
  block->hessian.topLeftCorner<3, 3>() += curvature * used * used.transpose();
}

void AddDownload(const UserTerms& terms, const Point& x, opt::ArrowBlock* block) {
  const opt::Jet2 rate = Rate(terms.download_snr, x[kBeta], x[kTheta]);
  if (terms.download_time > 0.0)
    Add(Reciprocal(terms.download_time * terms.download_s, rate), block);
  if (!(terms.download_energy > 0.0)) return;
  // q V / r = (V ln2 N0 / g) phi(x), x = snr theta / beta, phi(x) = x / ln(1 + x) concave: its
  // tangent's slope times the majorant (8) of x, with A = snr theta and B = beta.
  const double ratio = terms.download_snr * x[kTheta] / x[kBeta], log_1x = std::log1p(ratio);
  const double slope = terms.download_energy * terms.download_s / terms.download_snr *
                       LogExcess(ratio) / (log_1x * log_1x);
  const opt::Jet2 a{.value = slope * terms.download_snr * x[kTheta],
                    .dy = slope * terms.download_snr};
  const opt::Jet2 b{.value = x[kBeta], .dx = 1.0};
  Add(opt::MajorizedRatio(a, b, opt::TightWeight(a.value, b.value)), block);
}

// The upload in makespan mode: energy and power limit in (beta, t).
void AddTimedUpload(const UserTerms& terms, const Point& x, double mu, opt::ArrowBlock* block) {
  const double beta = x[kBeta], t = x[kTime], product = beta * t;
  const double c = terms.upload_s / product, e_c = std::exp(c);
  const double d = -terms.upload_energy * (e_c - std::expm1(c) / c) / product;
  const double dd = terms.upload_energy * c * e_c / (product * product);

  const opt::Jet2 rate = Rate(terms.upload_snr, beta, 1.0);
  const double slack = rate.value - terms.upload_s / t, log_slope = mu / slack;
  const double slack_t = terms.upload_s / (t * t);
  block->gradient[kBeta] += t * d - log_slope * rate.dx;
  block->gradient[kTime] += beta * d - log_slope * slack_t;
  const double outer = log_slope / slack;
  block->hessian(kBeta, kBeta) += t * t * dd + outer * rate.dx * rate.dx - log_slope * rate.dxx;
  block->hessian(kTime, kTime) +=
      beta * beta * dd + outer * slack_t * slack_t + log_slope * 2.0 * slack_t / t;
  const double mixed = d + product * dd + outer * rate.dx * slack_t;
  block->hessian(kBeta, kTime) += mixed;
  block->hessian(kTime, kBeta) += mixed;
}

// T_u - t >= local_s_min, and the energy of training within T_u - t.
void AddUserPhase(const UserTerms& terms,
                  const Point& x,
                  const Barriers& barriers,
                  double mu,
                  opt::ArrowBlock* block,
                  opt::ArrowSystem* system) {
  const double left = barriers[0] - x[kTime], slack = left - terms.local_s_min;
  const double energy = terms.local_energy / (left * left);
  const double d = -2.0 * energy / left - mu / slack;
  const double dd = 6.0 * energy / (left * left) + mu / (slack * slack);
  system->border_gradient[0] += d;
  system->border_hessian(0, 0) += dd;
  if (!terms.uploads) return;
  block->gradient[kTime] -= d;
  block->hessian(kTime, kTime) += dd;
  block->cross(kTime, 0) -= dd;
}

// -mu ln(T_s - server phase).
void AddServerPhase(const UserTerms& terms,
                    const Point& x,
                    const Barriers& barriers,
                    double mu,
                    opt::ArrowBlock* block,
                    opt::ArrowSystem* system) {
  const double slack = barriers[1] - ServerPhaseS(terms, x), log_slope = mu / slack;
  opt::ArrowBlock phase{};  // The phase's own gradient and Hessian.
  phase.hessian.setZero();
  phase.gradient.setZero();
  if (terms.uses_power) {
    Add(Reciprocal(terms.download_s, Rate(terms.download_snr, x[kBeta], x[kTheta])), &phase);
  }
  if (terms.uses_clock) {
    const double sigma = x[kSigma], slope = terms.clock_s / (sigma * sigma);
    phase.gradient[kSigma] -= slope;
    phase.hessian(kSigma, kSigma) += 2.0 * slope / sigma;
  }
  const double outer = log_slope / slack;
  block->gradient += log_slope * phase.gradient;
  block->hessian += outer * phase.gradient * phase.gradient.transpose() + log_slope * phase.hessian;
  block->cross.col(1) -= outer * phase.gradient;
  system->border_gradient[1] -= log_slope;
  system->border_hessian(1, 1) += outer;
}

}  // namespace

double LogExcess(double x) {
  if (x < 1e-3) return x * x * (0.5 - x * (2.0 / 3.0 - x * (0.75 - x * 0.8)));
  return std::log1p(x) - x / (1.0 + x);
}

Jet1 UploadCost(const UserTerms& terms, double beta) {
  const double x = terms.upload_snr / beta, u_max = 1.0 + x, v_max = std::log1p(x);
  const double branch = terms.upload_branch / beta;
  // BranchDistance(v_max), whose exponential is known here.
  const double distance = v_max < 0.5 ? opt::BranchDistance(v_max) : u_max * (v_max - 1.0) + 1.0;
  if (!(branch < distance)) {  // p = P_n.
    const opt::Jet2 rate{
        .value = beta * v_max, .dx = LogExcess(x), .dxx = -x * x / (beta * u_max * u_max)};
    const opt::Jet2 cost = Reciprocal(terms.upload_cost_max * terms.upload_s, rate);
    return {cost.value, cost.dx, cost.dxx};
  }
  const double v = opt::InverseBranchDistance(branch), u = std::exp(v);
  const double slope = terms.upload_time * terms.upload_s / (beta * beta * v);
  return {terms.upload_energy * u,
          -slope,
          slope / beta * (2.0 - terms.upload_branch / (beta * u * v * v))};
}

double BestClockHz(double clock_hz_max, double kappa_w_per_hz3, double w_t, double w_e) {
  const double energy_weight = 2.0 * w_e * kappa_w_per_hz3;
  if (!(energy_weight > 0.0)) return clock_hz_max;
  return std::min(clock_hz_max, std::cbrt(w_t / energy_weight));
}

double BestPowerW(
    double power_w_max, double bandwidth_hz, double snr_hz_per_w, double w_t, double w_e) {
  if (!(w_e > 0.0)) return power_w_max;
  const double per_w = snr_hz_per_w / bandwidth_hz;
  const double v = LogOfBestSnr(w_t / w_e * per_w, power_w_max * per_w);
  return v < 0.0 ? power_w_max : std::min(power_w_max, std::expm1(v) / per_w);
}

double EffectiveDelayWeight(const ScrProblem& problem) {
  if (problem.delay_weight_per_s > 0.0) return problem.delay_weight_per_s;
  const double power_w =
      *std::min_element(problem.tx_power_w_max.begin(), problem.tx_power_w_max.end());
  const double share = problem.delay == DelayMode::kSum ? 1e-15 : 1e-6;
  return share * problem.energy_weight_per_j * power_w;
}

UserTerms MakeUserTerms(const ScrProblem& problem,
                        int user,
                        const Choice& choice,
                        double y,
                        const TimePrices& prices,
                        bool barriers) {
  const int link = problem.FindLink(user, choice.server);
  const int split = problem.FindSplit(user, choice.local_layers);
  DASHF_CHECK(link >= 0 && split >= 0);
  return MakeUserTerms(problem,
                       static_cast<std::size_t>(user),
                       static_cast<std::size_t>(link),
                       static_cast<std::size_t>(split),
                       y,
                       prices,
                       barriers);
}

UserTerms MakeUserTerms(const ScrProblem& problem,
                        std::size_t n,
                        std::size_t link,
                        std::size_t k,
                        double y,
                        const TimePrices& prices,
                        bool barriers) {
  const int server = problem.link_server[link];
  const auto m = static_cast<std::size_t>(server);
  const double snr = problem.link_snr_hz_per_w[link];
  const double bandwidth_hz = problem.server_bandwidth_hz[m];
  const double cycle = problem.split_local_cycle[k];
  const double server_cycle = problem.split_server_flop[k] / problem.server_flop_per_cycle[m];
  const double w_e = problem.energy_weight_per_j, power_w = problem.tx_power_w_max[n];
  const double w_user = prices.user_phase_per_s, w_server = prices.server_phase_per_s;

  UserTerms terms;
  terms.server = server;
  terms.uploads = problem.split_upload_bit[k] > 0.0;
  terms.uses_power = problem.split_download_bit[k] > 0.0;
  terms.uses_bandwidth = terms.uploads || terms.uses_power;
  terms.uses_clock = server_cycle > 0.0;
  terms.trains = cycle > 0.0;
  terms.barriers = barriers;
  terms.score_scale = problem.score_scale;
  terms.score_gain = problem.score_gain;
  terms.upload_s = problem.split_upload_bit[k] * std::numbers::ln2 / bandwidth_hz;
  terms.upload_snr = snr * power_w / bandwidth_hz;
  terms.upload_branch = w_e > 0.0 ? w_user / w_e * snr / bandwidth_hz : kInfinity;
  terms.upload_energy = y * w_e * problem.split_upload_bit[k] * std::numbers::ln2 / snr;
  terms.upload_cost_max = y * (w_user + w_e * power_w);
  terms.upload_time = y * w_user;
  terms.download_s = problem.split_download_bit[k] * std::numbers::ln2 / bandwidth_hz;
  terms.download_snr = snr * problem.server_tx_power_w_max[m] / bandwidth_hz;
  terms.download_time = barriers ? 0.0 : y * w_server;
  terms.download_energy = y * w_e * problem.server_tx_power_w_max[m];
  const double clock_hz = problem.server_clock_hz_max[m];
  terms.clock_s = server_cycle / clock_hz;
  terms.clock_time = barriers ? 0.0 : y * w_server;
  terms.clock_energy =
      y * w_e * problem.server_kappa_w_per_hz3[m] * clock_hz * clock_hz * server_cycle;
  const double kappa = problem.kappa_w_per_hz3[n];
  terms.local_s_min = cycle / problem.clock_hz_max[n];
  terms.local_energy = y * w_e * kappa * cycle * cycle * cycle;
  terms.fixed_cost = y * w_e *
                     (problem.split_local_j[k] +
                      problem.server_energy_j_per_flop[m] * problem.split_server_flop[k]);
  if (!barriers && terms.trains) {
    const double f = BestClockHz(problem.clock_hz_max[n], kappa, w_user, w_e);
    terms.fixed_cost += y * cycle * (w_user / f + w_e * kappa * f * f);
  }
  return terms;
}

Decision DecideAtPrices(
    const ScrProblem& problem, int user, const Choice& choice, const Point& shares, double w_t) {
  const auto n = static_cast<std::size_t>(user), m = static_cast<std::size_t>(choice.server);
  const auto split = static_cast<std::size_t>(problem.FindSplit(user, choice.local_layers));
  const auto link = static_cast<std::size_t>(problem.FindLink(user, choice.server));
  const double w_e = problem.energy_weight_per_j;
  Decision decision;
  decision.server = choice.server;
  decision.local_layers = choice.local_layers;
  decision.bandwidth_hz = shares[0] * problem.server_bandwidth_hz[m];
  decision.server_tx_power_w = shares[1] * problem.server_tx_power_w_max[m];
  decision.server_clock_hz = shares[2] * problem.server_clock_hz_max[m];
  if (problem.split_local_cycle[split] > 0.0) {
    decision.local_clock_hz =
        BestClockHz(problem.clock_hz_max[n], problem.kappa_w_per_hz3[n], w_t, w_e);
  }
  if (problem.split_upload_bit[split] > 0.0) {
    decision.tx_power_w = BestPowerW(problem.tx_power_w_max[n],
                                     decision.bandwidth_hz,
                                     problem.link_snr_hz_per_w[link],
                                     w_t,
                                     w_e);
  }
  return decision;
}

double ServerPhaseS(const UserTerms& terms, const Point& x) {
  double phase_s = 0.0;
  if (terms.uses_clock) phase_s += terms.clock_s / x[kSigma];
  if (terms.uses_power) {
    phase_s +=
        terms.download_s / (x[kBeta] * std::log1p(terms.download_snr * x[kTheta] / x[kBeta]));
  }
  return phase_s;
}

int BarrierCount(const UserTerms& terms) {
  int count = terms.uses_bandwidth + terms.uses_power + terms.uses_clock;
  if (!terms.barriers) return count;
  count += 2 * terms.uploads + (terms.trains && !terms.uploads);
  return count + (terms.uses_power || terms.uses_clock);
}

double Value(const UserTerms& terms, const Point& x, const Barriers& barriers, double mu) {
  double product = 1.0;  // Of the slacks: one logarithm serves them all.
  double value = terms.fixed_cost;
  if (terms.uses_bandwidth) product *= x[kBeta] > 0.0 ? x[kBeta] : 0.0;
  if (terms.uses_power) product *= x[kTheta] > 0.0 ? x[kTheta] : 0.0;
  if (terms.uses_clock) product *= x[kSigma] > 0.0 ? x[kSigma] : 0.0;
  if (!(product > 0.0)) return kInfinity;
  value -= terms.score_scale * std::log1p(terms.score_gain * (x[kBeta] + x[kTheta] + x[kSigma]));
  if (terms.uses_clock) {
    value +=
        terms.clock_time * terms.clock_s / x[kSigma] + terms.clock_energy * x[kSigma] * x[kSigma];
  }
  if (terms.uses_power) {
    const double rate = x[kBeta] * std::log1p(terms.download_snr * x[kTheta] / x[kBeta]);
    value += (terms.download_time + terms.download_energy * x[kTheta]) * terms.download_s / rate;
  }
  if (!terms.barriers) {
    if (terms.uploads) value += UploadCost(terms, x[kBeta]).value;
    return value - mu * std::log(product);
  }
  if (terms.uploads || terms.trains) {
    const double left = barriers[0] - x[kTime];
    if (!(left > terms.local_s_min)) return kInfinity;
    product *= left - terms.local_s_min;
    value += terms.local_energy / (left * left);
  }
  double log_rest = 0.0;
  if (terms.uploads) {
    if (!(x[kTime] > 0.0)) return kInfinity;
    const double slack =
        x[kBeta] * std::log1p(terms.upload_snr / x[kBeta]) - terms.upload_s / x[kTime];
    if (!(slack > 0.0)) return kInfinity;
    value += terms.upload_energy * UploadEnergyFactor(terms, x[kBeta], x[kTime]);
    log_rest += std::log(slack);
  }
  if (terms.uses_power || terms.uses_clock) {
    const double slack = barriers[1] - ServerPhaseS(terms, x);
    if (!(slack > 0.0)) return kInfinity;
    product *= slack;
  }
  return value - mu * (std::log(product) + log_rest);
}

void AddDerivatives(const UserTerms& terms,
                    const Point& x,
                    const Barriers& barriers,
                    double mu,
                    opt::ArrowBlock* block,
                    opt::ArrowSystem* system) {
  block->gradient.setZero();
  block->hessian.setZero();
  block->cross.setZero();
  AddScore(terms, x, block);
  const bool used[4] = {
      terms.uses_bandwidth, terms.uses_power, terms.uses_clock, terms.barriers && terms.uploads};
  for (int i = 0; i < 4; ++i) {
    if (!used[i]) {
      block->hessian(i, i) = 1.0;
    } else if (i != kTime) {
      block->gradient[i] -= mu / x[i];
      block->hessian(i, i) += mu / (x[i] * x[i]);
    }
  }
  if (terms.uses_clock) {
    const double sigma = x[kSigma], slope = terms.clock_time * terms.clock_s / (sigma * sigma);
    block->gradient[kSigma] += 2.0 * terms.clock_energy * sigma - slope;
    block->hessian(kSigma, kSigma) += 2.0 * terms.clock_energy + 2.0 * slope / sigma;
  }
  if (terms.uses_power) AddDownload(terms, x, block);
  if (!terms.barriers) {
    if (!terms.uploads) return;
    const Jet1 cost = UploadCost(terms, x[kBeta]);
    block->gradient[kBeta] += cost.d;
    block->hessian(kBeta, kBeta) += cost.dd;
    return;
  }
  if (terms.uploads) AddTimedUpload(terms, x, mu, block);
  if (terms.uploads || terms.trains) AddUserPhase(terms, x, barriers, mu, block, system);
  if (terms.uses_power || terms.uses_clock) AddServerPhase(terms, x, barriers, mu, block, system);
}

}  // namespace dashf::solvers::internal
