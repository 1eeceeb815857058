#include "solvers/barrier_program.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dashf::solvers::internal {
namespace {

Eigen::Vector3d Uses(const UserTerms& user) {
  return {
      user.uses_bandwidth ? 1.0 : 0.0, user.uses_power ? 1.0 : 0.0, user.uses_clock ? 1.0 : 0.0};
}

}  // namespace

std::vector<Eigen::Vector3d> CountNeeds(const ScrProblem& problem,
                                        const std::vector<UserTerms>& terms) {
  std::vector<Eigen::Vector3d> needs(problem.server_slots.size(), Eigen::Vector3d::Zero());
  for (const UserTerms& user : terms) {
    needs[static_cast<std::size_t>(user.server)] += Uses(user);
  }
  return needs;
}

Eigen::Vector3d EqualShare(const UserTerms& user, const std::vector<Eigen::Vector3d>& needs) {
  const Eigen::Vector3d& count = needs[static_cast<std::size_t>(user.server)];
  return {user.uses_bandwidth ? 1.0 / count[0] : 0.0,
          user.uses_power ? 1.0 / count[1] : 0.0,
          user.uses_clock ? 1.0 / count[2] : 0.0};
}

std::vector<UserTerms> MakeTerms(const ScrProblem& problem,
                                 const Association& association,
                                 double y) {
  const double w_t = EffectiveDelayWeight(problem);
  const bool makespan = problem.delay == DelayMode::kMakespan;
  std::vector<UserTerms> terms(association.size());
  for (std::size_t n = 0; n < association.size(); ++n) {
    terms[n] = MakeUserTerms(problem, static_cast<int>(n), association[n], y, {w_t, w_t}, makespan);
  }
  return terms;
}

BarrierProgram::BarrierProgram(const ScrProblem& problem, const Association& association, double y)
    : problem_(problem),
      association_(association),
      terms_(MakeTerms(problem, association, y)),
      needs_(CountNeeds(problem, terms_)),
      x_(terms_.size(), Point::Zero()),
      trial_(terms_.size()),
      used_(needs_.size()) {
  const bool makespan = problem.delay == DelayMode::kMakespan;
  for (const UserTerms& user : terms_) {
    count_ += BarrierCount(user);
    if (!makespan) continue;
    has_barrier_[0] |= user.uploads || user.trains;
    has_barrier_[1] |= user.uses_power || user.uses_clock;
  }
  for (const Eigen::Vector3d& need : needs_) count_ += static_cast<int>((need.array() > 0).count());
  barrier_cost_ = y * EffectiveDelayWeight(problem);
  system_.blocks.resize(terms_.size());
  system_.group_weight.resize(needs_.size());
  for (std::size_t n = 0; n < terms_.size(); ++n) {
    system_.blocks[n].group = terms_[n].server;
    system_.blocks[n].share = Uses(terms_[n]);
  }
}

void BarrierProgram::Start(const Plan* near) {
  constexpr double kFromWarm = 1e-3;  // How far a warm start moves inwards.
  for (std::size_t n = 0; n < terms_.size(); ++n) {
    x_[n].head<3>() = 0.9 * EqualShare(terms_[n], needs_);
    if (near == nullptr) continue;
    const auto m = static_cast<std::size_t>(terms_[n].server);
    const Decision& decision = (*near)[n];
    const Eigen::Vector3d share(decision.bandwidth_hz / problem_.server_bandwidth_hz[m],
                                decision.server_tx_power_w / problem_.server_tx_power_w_max[m],
                                decision.server_clock_hz / problem_.server_clock_hz_max[m]);
    x_[n].head<3>() =
        kFromWarm * x_[n].head<3>() + (1.0 - kFromWarm) * share.cwiseProduct(Uses(terms_[n]));
  }
  if (problem_.delay == DelayMode::kMakespan) StartTimes(near);
}

// Barriers above the slowest user, upload times inside what they leave.
void BarrierProgram::StartTimes(const Plan* near) {
  const double margin = near == nullptr ? 1.2 : 1.001;
  const auto upload_s_min = [&](std::size_t n) {
    const UserTerms& user = terms_[n];
    if (!user.uploads) return 0.0;
    return user.upload_s / (x_[n][0] * std::log1p(user.upload_snr / x_[n][0]));
  };
  for (std::size_t n = 0; n < terms_.size(); ++n) {
    double user_phase_s = terms_[n].local_s_min + upload_s_min(n);
    if (near != nullptr) {
      user_phase_s =
          std::max(user_phase_s, TotalsOf(problem_, static_cast<int>(n), (*near)[n]).user_phase_s);
    }
    barriers_[0] = std::max(barriers_[0], margin * user_phase_s);
    barriers_[1] = std::max(barriers_[1], margin * ServerPhaseS(terms_[n], x_[n]));
  }
  for (std::size_t n = 0; n < terms_.size(); ++n) {
    if (!terms_[n].uploads) continue;
    const double low = upload_s_min(n), high = barriers_[0] - terms_[n].local_s_min;
    double time_s = 0.5 * (low + high);
    if (near != nullptr && (*near)[n].local_clock_hz > 0.0) {
      const auto split = static_cast<std::size_t>(
          problem_.FindSplit(static_cast<int>(n), association_[n].local_layers));
      time_s = barriers_[0] - problem_.split_local_cycle[split] / (*near)[n].local_clock_hz;
    }
    x_[n][3] = std::clamp(time_s, 0.99 * low + 0.01 * high, 0.01 * low + 0.99 * high);
  }
}

void BarrierProgram::Sum(const std::vector<Point>& x) {
  std::fill(used_.begin(), used_.end(), Eigen::Vector3d::Zero());
  for (std::size_t n = 0; n < x.size(); ++n) {
    used_[static_cast<std::size_t>(terms_[n].server)] += x[n].head<3>();
  }
}

double BarrierProgram::Objective(const std::vector<Point>& x, const Barriers& barriers, double mu) {
  double value = 0.0;
  for (int i = 0; i < 2; ++i) value += has_barrier_[i] ? barrier_cost_ * barriers[i] : 0.0;
  Sum(x);
  for (std::size_t m = 0; m < used_.size(); ++m) {
    for (int i = 0; i < 3; ++i) {
      if (needs_[m][i] == 0.0) continue;
      if (!(used_[m][i] < 1.0)) return std::numeric_limits<double>::infinity();
      value -= mu * std::log1p(-used_[m][i]);
    }
  }
  for (std::size_t n = 0; n < x.size(); ++n) {
    value += Value(terms_[n], x[n], barriers, mu);
  }
  return value;
}

void BarrierProgram::Assemble(double mu) {
  system_.border_gradient.setZero();
  system_.border_hessian.setZero();
  for (int i = 0; i < 2; ++i) {
    system_.border_gradient[i] = has_barrier_[i] ? barrier_cost_ : 0.0;
    system_.border_hessian(i, i) = has_barrier_[i] ? 0.0 : 1.0;
  }
  Sum(x_);
  for (std::size_t m = 0; m < used_.size(); ++m) {
    const Eigen::Array3d slack = 1.0 - used_[m].array();
    system_.group_weight[m] = (needs_[m].array() > 0.0).select(mu / slack.square(), 0.0);
  }
  for (std::size_t n = 0; n < x_.size(); ++n) {
    opt::ArrowBlock& block = system_.blocks[n];
    AddDerivatives(terms_[n], x_[n], barriers_, mu, &block, &system_);
    const UserTerms& user = terms_[n];
    const Eigen::Array3d slack = 1.0 - used_[static_cast<std::size_t>(user.server)].array();
    if (user.uses_bandwidth) block.gradient[0] += mu / slack[0];
    if (user.uses_power) block.gradient[1] += mu / slack[1];
    if (user.uses_clock) block.gradient[2] += mu / slack[2];
  }
}

// The longest step, at most 1, that keeps the linear limits with a margin.
double BarrierProgram::StepToBoundary() const {
  double longest = 1.0;
  std::vector<Eigen::Vector3d> change(used_.size(), Eigen::Vector3d::Zero());
  for (std::size_t n = 0; n < x_.size(); ++n) {
    const Eigen::Vector4d& step = system_.blocks[n].step;
    for (int i = 0; i < 4; ++i) {
      if (step[i] < 0.0) longest = std::min(longest, -0.99 * x_[n][i] / step[i]);
    }
    change[static_cast<std::size_t>(terms_[n].server)] += step.head<3>();
  }
  for (std::size_t m = 0; m < used_.size(); ++m) {
    for (int i = 0; i < 3; ++i) {
      if (change[m][i] > 0.0)
        longest = std::min(longest, 0.99 * (1.0 - used_[m][i]) / change[m][i]);
    }
  }
  return longest;
}

void BarrierProgram::StopAfter(double time_limit_s) {
  watch_ = {};
  time_limit_s_ = time_limit_s;
}

int BarrierProgram::Centre(double mu, double decrement_max, int steps_max) {
  constexpr double kSufficient = 1e-4;  // Armijo's constant.
  constexpr int kHalvingsMax = 50;
  double value = Objective(x_, barriers_, mu);
  for (int step = 0; step < steps_max; ++step) {
    if (IsStopped()) return step;
    Assemble(mu);
    if (!std::isfinite(value) || !opt::SolveArrowSystem(&system_)) return -1;
    double decrement = -system_.border_gradient.dot(system_.border_step);
    for (const opt::ArrowBlock& block : system_.blocks) decrement -= block.gradient.dot(block.step);
    if (!std::isfinite(decrement)) return -1;
    if (decrement <= decrement_max) return step;
    double length = StepToBoundary();
    int halvings = 0;
    for (;; length *= 0.5, ++halvings) {
      // Rounding hides what little is left to gain: the point is as good as it gets.
      if (halvings > kHalvingsMax) return step;
      for (std::size_t n = 0; n < x_.size(); ++n) {
        trial_[n] = x_[n] + length * system_.blocks[n].step;
      }
      const Barriers barriers = barriers_ + length * system_.border_step;
      const double trial_value = Objective(trial_, barriers, mu);
      if (trial_value <= value - kSufficient * length * decrement) {
        std::swap(x_, trial_);
        barriers_ = barriers;
        value = trial_value;
        break;
      }
    }
  }
  return steps_max;
}

Plan BarrierProgram::Extract() const {
  Plan plan(terms_.size());
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const UserTerms& user = terms_[n];
    plan[n] = DecideAtPrices(
        problem_, static_cast<int>(n), association_[n], x_[n], EffectiveDelayWeight(problem_));
    if (!user.barriers) continue;
    // The clock and the power that just fill the user phase; full ones where energy is free.
    const double left_s = barriers_[0] - x_[n][3];
    if (user.trains) {
      plan[n].local_clock_hz = problem_.clock_hz_max[n];
      if (user.local_energy > 0.0)
        plan[n].local_clock_hz *= std::min(1.0, user.local_s_min / left_s);
    }
    if (user.uploads) {
      plan[n].tx_power_w = problem_.tx_power_w_max[n];
      if (user.upload_energy > 0.0) {
        const double exponent = user.upload_s / (x_[n][0] * x_[n][3]);
        plan[n].tx_power_w *= std::min(1.0, std::expm1(exponent) * x_[n][0] / user.upload_snr);
      }
    }
  }
  return plan;
}

}  // namespace dashf::solvers::internal
