#include "solvers/deadline_reply.h"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <optional>

#include "opt/lambert_w.h"

namespace dashf::solvers::internal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The phases at given shares and weights: T, dT / dshare, and dT^u / dweight at fixed shares.
struct Phases {
  Eigen::Vector2d time_s = Eigen::Vector2d::Zero();
  Eigen::Matrix<double, 3, 2> by_share = Eigen::Matrix<double, 3, 2>::Zero();
  double by_weight = 0.0;
};

void AddUpload(const UserTerms& terms, double beta, double weight, Phases* phases) {
  const double x = terms.upload_snr / beta, v_max = std::log1p(x);
  const double branch = terms.upload_branch / beta;
  if (!(branch < opt::BranchDistance(v_max))) {  // At full power.
    const double time_s = terms.upload_s / (beta * v_max);
    phases->time_s[0] += time_s;
    phases->by_share(0, 0) -= time_s * LogExcess(x) / (beta * v_max);
    return;
  }
  const double v = opt::InverseBranchDistance(branch);
  const double time_s = terms.upload_s / (beta * v);
  const double response = branch / (v * v * std::exp(v));  // dln v / dln branch.
  phases->time_s[0] += time_s;
  phases->by_share(0, 0) += time_s / beta * (response - 1.0);
  phases->by_weight -= time_s * response / weight;
}

void AddDownload(const UserTerms& terms, const Eigen::Vector3d& x, Phases* phases) {
  const double ratio = terms.download_snr * x[1] / x[0], log_u = std::log1p(ratio);
  const double time_s = terms.download_s / (x[0] * log_u);
  phases->time_s[1] += time_s;
  phases->by_share(0, 1) -= time_s * LogExcess(ratio) / (x[0] * log_u);
  phases->by_share(1, 1) -= time_s * terms.download_snr / ((1.0 + ratio) * x[0] * log_u);
}

class Row {
 public:
  Row(const ScrProblem& problem, std::size_t user, std::size_t link, std::size_t split, double y)
      : energy_weight_(problem.energy_weight_per_j),
        power_w_(problem.tx_power_w_max[user]),
        clock_hz_(problem.clock_hz_max[user]),
        kappa_(problem.kappa_w_per_hz3[user]),
        cycle_(problem.split_local_cycle[split]),
        y_(y),
        terms_(MakeUserTerms(problem, user, link, split, y, {1.0, 1.0}, true)),
        constant_cost_(terms_.fixed_cost) {
    terms_.barriers = false;
  }

  // Has the user (0) or server (1) phase any work or bits?
  bool HasPhase(int i) const {
    return i == 0 ? terms_.trains || terms_.uploads : terms_.uses_clock || terms_.uses_power;
  }

  const UserTerms& WithWeights(const Eigen::Vector2d& weight) {
    const double snr_per_w = terms_.upload_snr / power_w_;
    terms_.upload_branch =
        energy_weight_ > 0.0 ? weight[0] / energy_weight_ * snr_per_w : kInfinity;
    terms_.upload_cost_max = y_ * (weight[0] + energy_weight_ * power_w_);
    terms_.upload_time = y_ * weight[0];
    terms_.download_time = terms_.clock_time = y_ * weight[1];
    if (terms_.trains) {
      local_clock_hz_ = BestClockHz(clock_hz_, kappa_, weight[0], energy_weight_);
      const double f = local_clock_hz_;
      terms_.fixed_cost =
          constant_cost_ + y_ * cycle_ * (weight[0] / f + energy_weight_ * kappa_ * f * f);
    }
    return terms_;
  }

  // At the weights of the last WithWeights().
  Phases PhasesAt(const Eigen::Vector3d& share, const Eigen::Vector2d& weight) const {
    Phases phases;
    if (terms_.trains) {
      const double time_s = cycle_ / local_clock_hz_;
      phases.time_s[0] += time_s;
      if (local_clock_hz_ < clock_hz_) phases.by_weight -= time_s / (3.0 * weight[0]);
    }
    if (terms_.uploads) AddUpload(terms_, share[0], weight[0], &phases);
    if (terms_.uses_power) AddDownload(terms_, share, &phases);
    if (terms_.uses_clock) {
      phases.time_s[1] += terms_.clock_s / share[2];
      phases.by_share(2, 1) -= terms_.clock_s / (share[2] * share[2]);
    }
    return phases;
  }

 private:
  const double energy_weight_, power_w_, clock_hz_, kappa_, cycle_, y_;
  UserTerms terms_;
  double constant_cost_;  // Of the energies that no weight changes.
  double local_clock_hz_ = 0.0;
};

// The phases' multipliers on their way to the minimum.
class Multipliers {
 public:
  // Where the charge has no kink to one side of its weight, no multiplier lies there.
  Multipliers(const PhaseCharges& charges, const Row& row, const Eigen::Vector2d& start)
      : charge_{charges.user, charges.server} {
    for (int i = 0; i < 2; ++i) {
      const PhaseCharge& charge = charge_[i];
      rest_[i] = std::max(charge.weight_per_s, charges.weight_floor);
      least_[i] = charge.min_s > 0.0 ? charges.weight_floor : rest_[i];
      most_[i] = std::isfinite(charge.max_s) ? std::max(rest_[i], charges.weight_max) : rest_[i];
      if (!row.HasPhase(i)) most_[i] = least_[i];
      weight_[i] = std::clamp(start[i], least_[i], most_[i]);
    }
  }

  const Eigen::Vector2d& weight() const { return weight_; }

  double Charged() const {
    double sum = 0.0;
    for (int i = 0; i < 2; ++i) {
      const double left = charge_[i].weight_per_s - weight_[i];
      if (left >= 0.0) {
        sum += left * charge_[i].min_s;
      } else if (std::isfinite(charge_[i].max_s)) {
        sum += left * charge_[i].max_s;
      }
    }
    return sum;
  }

  // What each phase is charged for where it lasts `time_s`.
  Eigen::Vector2d ChargedS(const Eigen::Vector2d& time_s) const {
    Eigen::Vector2d charged;
    for (int i = 0; i < 2; ++i) {
      const PhaseCharge& charge = charge_[i];
      charged[i] = weight_[i] < rest_[i]   ? charge.min_s
                   : weight_[i] > rest_[i] ? charge.max_s
                                           : std::clamp(time_s[i], charge.min_s, charge.max_s);
    }
    return charged;
  }

  // 1 for phases that end between the ends, 0 for those held at one.
  Eigen::Vector2d Free() const {
    return {weight_[0] == rest_[0] && !drawn_[0] ? 1.0 : 0.0,
            weight_[1] == rest_[1] && !drawn_[1] ? 1.0 : 0.0};
  }

  // Notes how far each phase is, in ln T, from the end that it is drawn to; the largest distance.
  double Look(const Eigen::Vector2d& time_s, const Eigen::Matrix2d& slope) {
    for (int i = 0; i < 2; ++i) {
      const double end = WantedEnd(i, time_s[i]);
      drawn_[i] = end > 0.0 && time_s[i] > 0.0;
      responds_[i] = drawn_[i] && slope(i, i) * weight_[i] < -kStiff * time_s[i];
      miss_[i] = drawn_[i] ? std::log(time_s[i] / end) : 0.0;
    }
    return miss_.cwiseAbs().maxCoeff();
  }

  // The inverse of `slope` over the phases that are held.
  Eigen::Matrix2d Response(const Eigen::Matrix2d& slope) const {
    Eigen::Matrix2d response = Held(slope).inverse();
    for (int i = 0; i < 2; ++i) {
      if (responds_[i]) continue;
      response.row(i).setZero();
      response.col(i).setZero();
    }
    return response;
  }

  // Newton in ln T over ln weight: T falls about as a power of it. False where nothing moves.
  bool Step(const Eigen::Vector2d& time_s, const Eigen::Matrix2d& slope) {
    constexpr double kFar = 4.0;
    const Eigen::Vector2d wanted(-miss_[0] * time_s[0], -miss_[1] * time_s[1]);
    const Eigen::Vector2d change = (Response(slope) * wanted).cwiseQuotient(weight_);
    bool moved = false;
    for (int i = 0; i < 2; ++i) {
      if (!drawn_[i]) continue;
      // Where it overshot to and fro, shorter.
      if (miss_[i] * last_miss_[i] < -0.25 * last_miss_[i] * last_miss_[i]) damping_[i] *= 0.5;
      last_miss_[i] = miss_[i];
      const double step = damping_[i] * (responds_[i] && std::isfinite(change[i])
                                             ? std::clamp(change[i], -kFar, kFar)
                                             : std::copysign(kFar, miss_[i]));
      double next = weight_[i] * std::exp(step);
      // The function has a kink at the charge's own weight.
      if ((weight_[i] > rest_[i]) != (next > rest_[i]) && weight_[i] != rest_[i]) next = rest_[i];
      next = std::clamp(next, least_[i], most_[i]);
      moved |= next != weight_[i];
      weight_[i] = next;
    }
    return moved;
  }

 private:
  static constexpr double kStiff = 1e-6;  // -dln T / dln weight below which T does not respond.

  // 0 where the phase is content.
  double WantedEnd(int i, double time_s) const {
    const PhaseCharge& charge = charge_[i];
    if (least_[i] == most_[i]) return 0.0;
    if (weight_[i] > rest_[i] || (weight_[i] == rest_[i] && time_s > charge.max_s)) {
      return std::isfinite(charge.max_s) ? charge.max_s : 0.0;
    }
    const bool below = weight_[i] < rest_[i] || time_s < charge.min_s;
    return below && !(weight_[i] <= least_[i] && time_s <= charge.min_s) ? charge.min_s : 0.0;
  }

  Eigen::Matrix2d Held(Eigen::Matrix2d slope) const {
    for (int i = 0; i < 2; ++i) {
      if (responds_[i]) continue;
      slope.row(i).setZero();
      slope.col(i).setZero();
      slope(i, i) = -1.0;
    }
    return slope;
  }

  const PhaseCharge charge_[2];
  double rest_[2], least_[2], most_[2];
  Eigen::Vector2d weight_, miss_;
  double last_miss_[2] = {}, damping_[2] = {1.0, 1.0};
  bool drawn_[2] = {}, responds_[2] = {};
};

}  // namespace

Eigen::Vector2d LeastPhases(const ScrProblem& problem,
                            std::size_t user,
                            std::size_t link,
                            std::size_t split) {
  const UserTerms terms = MakeUserTerms(problem, user, link, split, 1.0, {1.0, 1.0}, false);
  Eigen::Vector2d least(terms.local_s_min, 0.0);
  if (terms.uploads) least[0] += terms.upload_s / std::log1p(terms.upload_snr);
  if (terms.uses_power) least[1] += terms.download_s / std::log1p(terms.download_snr);
  if (terms.uses_clock) least[1] += terms.clock_s;
  return least;
}

DeadlineReply SolveDeadlineReply(const ScrProblem& problem,
                                 std::size_t user,
                                 std::size_t link,
                                 std::size_t split,
                                 double y,
                                 const Eigen::Vector3d& price,
                                 const PhaseCharges& charges,
                                 const Eigen::Vector3d& start,
                                 const Eigen::Vector2d& weight_start,
                                 bool thorough) {
  constexpr int kStepsMax = 25;
  constexpr double kTolerance = 1e-6;
  Row row(problem, user, link, split, y);
  Multipliers multipliers(charges, row, weight_start);
  DeadlineReply met;
  std::optional<DeadlineReply> least;  // Of those that missed: each psi is an upper bound.
  Eigen::Vector3d share = start;
  for (int step = 0; step < kStepsMax; ++step) {
    const Eigen::Vector2d weight = multipliers.weight();
    const UserTerms& terms = row.WithWeights(weight);
    met.weight_per_s = weight;
    met.reply = thorough && step == 0 ? SolveReplyFromSeveralStarts(terms, price, share)
                                      : SolveReply(terms, price, share);
    share = met.reply.share;
    const Phases phases = row.PhasesAt(share, weight);
    const double charged = y * multipliers.Charged();
    met.reply.psi -= charged;
    met.reply.cost += charged;
    // d time_s / d weight.
    Eigen::Matrix2d slope = -y * phases.by_share.transpose() * met.reply.yields * phases.by_share;
    slope(0, 0) += phases.by_weight;
    const double miss = multipliers.Look(phases.time_s, slope);
    // Active deadlines' multipliers move with the prices, which holds the phases.
    const Eigen::Matrix<double, 3, 2> pull = met.reply.yields * phases.by_share;
    const Eigen::Matrix2d response = multipliers.Response(slope);
    met.reply.yields += y * pull * response * pull.transpose();
    const Eigen::DiagonalMatrix<double, 2> free(multipliers.Free());
    met.charged_s = multipliers.ChargedS(phases.time_s);
    met.charged_by_weight = free * (slope - slope * response * slope) * free;
    met.share_by_weight = -y * (pull - pull * response * slope) * free;
    if (miss <= kTolerance || !multipliers.Step(phases.time_s, slope)) return met;
    if (!least || met.reply.psi < least->reply.psi) least = met;
  }
  return *least;
}

}  // namespace dashf::solvers::internal
