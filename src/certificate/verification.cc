#include "certificate/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "certificate/coverage.h"
#include "certificate/rounding.h"
#include "certificate/user_bound.h"

namespace dashf::certificate {
namespace {

constexpr double kTolerance = 1e-7;  // Of each user's bound, relative to the score's scale.
constexpr std::size_t kChunk = 16;   // Users that a thread takes at a time.
constexpr int kRaisesMax = 40;
constexpr double kOvershoot = 3e-6;  // Relative, of the y that is sought.

struct BoxBound {
  double excess = kInfinity;
  double slope = 0.0;  // About d excess / d y.
  int user = 0;
};

Expected<void> CheckNumbers(const std::vector<double>& numbers,
                            std::size_t length,
                            const std::string& where) {
  if (numbers.size() != length) {
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("must have {} entries, not {}", length, numbers.size()));
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!(numbers[i] >= 0.0 && std::isfinite(numbers[i]))) {
      return Fail(ErrorKind::kBadInput,
                  fmt::format("{}[{}]", where, i),
                  fmt::format("must be a number >= 0, got {}", numbers[i]));
    }
  }
  return {};
}

Expected<void> CheckRange(double min, double max, const std::string& where) {
  if (min >= 0.0 && min < max && std::isfinite(min)) return {};
  return Fail(
      ErrorKind::kBadInput, where, fmt::format("must be 0 <= min < max, got {}, {}", min, max));
}

Expected<void> CheckBox(const Scenario& scenario,
                        const DeadlineBox& box,
                        const std::string& where) {
  const bool sum = scenario.objective.delay == DelayMode::kSum;
  const std::size_t weights = sum ? 0 : scenario.users.size();
  if (box.servers.size() != scenario.servers.size()) {
    return Fail(
        ErrorKind::kBadInput,
        where + ".prices",
        fmt::format("must have {} entries, not {}", scenario.servers.size(), box.servers.size()));
  }
  std::vector<double> prices;
  for (std::size_t m = 0; m < box.servers.size(); ++m) {
    const ServerPrices& server = box.servers[m];
    prices.insert(prices.end(),
                  {server.bandwidth_per_hz, server.power_per_w, server.clock_per_hz, server.slot});
    if (server.slot != 0.0 && !scenario.servers[m].slots) {
      return Fail(ErrorKind::kBadInput,
                  fmt::format("{}.prices.slot[{}]", where, m),
                  fmt::format("must be 0: server {} has no slot limit, got {}",
                              scenario.servers[m].id,
                              server.slot));
    }
  }
  return CheckNumbers(prices, prices.size(), where + ".prices")
      .and_then([&] {
        return CheckNumbers(
            box.user_phase_weight_per_s, weights, where + ".user_phase_weight_per_s");
      })
      .and_then([&] {
        return CheckNumbers(
            box.server_phase_weight_per_s, weights, where + ".server_phase_weight_per_s");
      })
      .and_then([&] {
        return CheckRange(box.user_phase_s_min, box.user_phase_s_max, where + ".user_phase_s");
      })
      .and_then([&] {
        return CheckRange(
            box.server_phase_s_min, box.server_phase_s_max, where + ".server_phase_s");
      });
}

Expected<void> CheckForm(const Scenario& scenario, const Certificate& certificate) {
  if (!(certificate.scr_upper > 0.0 && std::isfinite(certificate.scr_upper))) {
    return Fail(ErrorKind::kBadInput,
                "bound.scr_upper",
                fmt::format("must be a number > 0, got {}", certificate.scr_upper));
  }
  if (scenario.objective.delay == DelayMode::kSum && certificate.boxes.size() != 1) {
    return Fail(
        ErrorKind::kBadInput,
        "bound.certificate.boxes",
        fmt::format("must be one with the sum of delays, got {}", certificate.boxes.size()));
  }
  for (std::size_t i = 0; i < certificate.boxes.size(); ++i) {
    const auto checked =
        CheckBox(scenario, certificate.boxes[i], fmt::format("bound.certificate.boxes[{}]", i));
    if (!checked) return checked;
  }
  return CheckCoverage(certificate);
}

// What the capacities are worth at these prices, rounded up.
double CapacityWorth(const Scenario& scenario, const DeadlineBox& box) {
  const Interval widened = Interval(1.0) + Interval(kLimitSlack);
  Interval worth = 0.0;
  for (std::size_t m = 0; m < box.servers.size(); ++m) {
    const Server& server = scenario.servers[m];
    const ServerPrices& prices = box.servers[m];
    worth = worth + widened * (Interval(prices.bandwidth_per_hz) * server.bandwidth_hz +
                               Interval(prices.power_per_w) * server.tx_power_w_max +
                               Interval(prices.clock_per_hz) * server.compute.clock_hz_max);
    worth = worth + Interval(prices.slot) * static_cast<double>(server.slots.value_or(0));
  }
  return worth.hi;
}

// min over T in [min, max] of (w_t - sum of weights) T, rounded down: what the barrier itself
// costs beside what its users carry.
double BarrierCost(double w_t, const std::vector<double>& weights, double min, double max) {
  Interval left = w_t;
  for (const double weight : weights) left = left - Interval(weight);
  if (left.lo >= 0.0) return Down(left.lo * min);
  return std::isfinite(max) ? Down(left.lo * max) : -kInfinity;
}

std::vector<UserBound> BoundUsers(const Scenario& scenario,
                                  const DeadlineBox& box,
                                  double scr_upper,
                                  int threads) {
  std::vector<UserBound> bounds(scenario.users.size());
  ParallelFor((bounds.size() + kChunk - 1) / kChunk, threads, [&](std::size_t chunk) {
    const std::size_t end = std::min((chunk + 1) * kChunk, bounds.size());
    for (std::size_t n = chunk * kChunk; n < end; ++n) {
      bounds[n] =
          BoundUser(scenario, box, scr_upper, n, kTolerance * scenario.objective.score_scale);
    }
  });
  return bounds;
}

// D(y; prices) of one box (9).
BoxBound BoundBox(const Scenario& scenario, const DeadlineBox& box, double scr_upper, int threads) {
  const std::vector<UserBound> users = BoundUsers(scenario, box, scr_upper, threads);
  BoxBound bound;
  bound.excess = CapacityWorth(scenario, box);
  for (std::size_t n = 0; n < users.size(); ++n) {
    bound.excess = Up(bound.excess + users[n].psi_upper);
    bound.slope -= users[n].cost;
    if (users[n].psi_upper > users[static_cast<std::size_t>(bound.user)].psi_upper) {
      bound.user = static_cast<int>(n);
    }
    // A user without any split within the box: no plan is in it.
    if (users[n].psi_upper == -kInfinity) return {-kInfinity, 0.0, static_cast<int>(n)};
  }
  if (scenario.objective.delay == DelayMode::kMakespan) {
    const double w_t = scenario.objective.delay_weight_per_s;
    const double barriers = Down(
        BarrierCost(w_t, box.user_phase_weight_per_s, box.user_phase_s_min, box.user_phase_s_max) +
        BarrierCost(
            w_t, box.server_phase_weight_per_s, box.server_phase_s_min, box.server_phase_s_max));
    bound.excess = Up(bound.excess - Down(scr_upper * barriers));
    bound.slope -= barriers;
  }
  if (bound.excess != bound.excess) bound.excess = kInfinity;
  return bound;
}

// The least y, nearly, at which one box is proven. Newton's method on a convex function, D(y): from
// either side it lands left of the root and then climbs to it; a little is added each time so that
// it steps over. Someone else's estimate that is good to kOvershoot is thus proven at the first
// look.
Expected<double> LeastProven(const Scenario& scenario,
                             const DeadlineBox& box,
                             double start,
                             int threads) {
  double y = start * (1.0 + kOvershoot);
  double proven = kInfinity;
  for (int i = 0; i < kRaisesMax && std::isfinite(y); ++i) {
    const BoxBound bound = BoundBox(scenario, box, y, threads);
    if (bound.excess == -kInfinity) return 0.0;
    const bool holds = bound.excess <= 0.0;
    if (holds) proven = std::min(proven, y);
    double next = 2.0 * y;
    if (bound.slope < 0.0 && std::isfinite(bound.excess)) {
      next = (y - bound.excess / bound.slope) * (1.0 + kOvershoot);
    }
    if (holds && !(next > 0.0 && next < y * (1.0 - kOvershoot))) return proven;
    if (!holds) next = std::clamp(next, y * (1.0 + 1e-8), 4.0 * y);
    if (next >= proven) return proven;
    y = next;
  }
  if (std::isfinite(proven)) return proven;
  return Fail(ErrorKind::kNumerical, "certificate", "proves no bound with these prices");
}

}  // namespace

Expected<Verdict> SafeUpperBound(const Scenario& scenario,
                                 const Certificate& certificate,
                                 int threads) {
  if (const auto form = CheckForm(scenario, certificate); !form) {
    return tl::unexpected(form.error());
  }
  Verdict verdict{.proven = true, .boxes = {}, .reason = {}};
  std::size_t worst = 0;
  for (const DeadlineBox& box : certificate.boxes) {
    const BoxBound bound = BoundBox(scenario, box, certificate.scr_upper, threads);
    verdict.boxes.push_back({bound.excess, bound.user});
    if (!(bound.excess <= 0.0)) verdict.proven = false;
    if (bound.excess > verdict.boxes[worst].excess) worst = verdict.boxes.size() - 1;
  }
  if (!verdict.proven) {
    verdict.reason = fmt::format(
        "boxes[{}] leaves {} of score unexplained at scr_upper {}; user {} contributes most",
        worst,
        verdict.boxes[worst].excess,
        certificate.scr_upper,
        scenario.users[static_cast<std::size_t>(verdict.boxes[worst].user)].id);
  }
  return verdict;
}

Expected<Certificate> RaiseToProof(const Scenario& scenario,
                                   const Certificate& certificate,
                                   int threads) {
  if (const auto form = CheckForm(scenario, certificate); !form) {
    return tl::unexpected(form.error());
  }
  Certificate raised = certificate;
  double y = 0.0;
  for (const DeadlineBox& box : certificate.boxes) {
    // A box that the y so far proves needs no y of its own.
    if (y > 0.0 && BoundBox(scenario, box, y, threads).excess <= 0.0) continue;
    const auto least = LeastProven(scenario, box, y > 0.0 ? y : certificate.scr_upper, threads);
    if (!least) return tl::unexpected(least.error());
    y = std::max(y, *least);
  }
  // Excess need not fall with y in a box whose weights exceed w_t: look again at all of them.
  for (int i = 0; i < kRaisesMax && y > 0.0; ++i, y *= 1.0 + 1e-6) {
    raised.scr_upper = y;
    if (raised.boxes.size() == 1) return raised;
    const auto verdict = SafeUpperBound(scenario, raised, threads);
    if (verdict && verdict->proven) return raised;
  }
  return Fail(ErrorKind::kNumerical, "certificate", "proves no bound with these prices");
}

}  // namespace dashf::certificate
