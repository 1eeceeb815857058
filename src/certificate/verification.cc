#include "certificate/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/parallel.h"
#include "certificate/form.h"
#include "certificate/rounding.h"
#include "certificate/server_bound.h"
#include "certificate/user_bound.h"

namespace dashf::certificate {
namespace {

// Of each user's bound, relative to the score's scale; where there are many boxes most are proven
// in a fraction of the time with the rough one.
constexpr double kTolerance = 1e-7, kRough = 1e-2;
constexpr std::size_t kChunk = 16;  // Users that a thread takes at a time.
constexpr int kRaisesMax = 40;
constexpr double kOvershoot = 3e-6;  // Relative, of the y that is sought.
constexpr double kFarOff = 1e-4;     // Relative, of an estimate.

struct BoxBound {
  double excess = kInfinity;
  double slope = 0.0;  // About d excess / d y.
  int user = 0;
};

// min over T in [min, max] of (w_t - sum of weights) T, rounded down: what the barrier itself
// costs beside what its users carry.
double BarrierCost(double w_t, const std::vector<double>& weights, double min, double max) {
  Interval left = w_t;
  for (const double weight : weights) left = left - Interval(weight);
  if (left.lo >= 0.0) return Down(left.lo * min);
  return std::isfinite(max) ? Down(left.lo * max) : -kInfinity;
}

constexpr BoxBound kEmptyBox{-kInfinity, 0.0, 0};

// D(y; prices) (9) but for the barriers; users choose among all servers.
BoxBound BoundUsers(const Scenario& scenario,
                    const DeadlineBox& box,
                    double scr_upper,
                    double tolerance,
                    int threads) {
  std::vector<UserBound> users(scenario.users.size());
  ParallelFor((users.size() + kChunk - 1) / kChunk, threads, [&](std::size_t chunk) {
    const std::size_t end = std::min((chunk + 1) * kChunk, users.size());
    for (std::size_t n = chunk * kChunk; n < end; ++n) {
      users[n] = BoundUser(scenario, box, scr_upper, n, tolerance);
    }
  });
  BoxBound bound{.excess = 0.0};
  for (std::size_t m = 0; m < box.servers.size(); ++m) {
    const Server& server = scenario.servers[m];
    if (server.slots == 0) continue;  // Nobody pays it anything.
    const double slots = Up(box.servers[m].slot * server.slots.value_or(0));
    bound.excess = Up(bound.excess + Up(CapacityWorth(server, box.servers[m]) + slots));
  }
  for (std::size_t n = 0; n < users.size(); ++n) {
    bound.excess = Up(bound.excess + users[n].psi_upper);
    bound.slope -= users[n].cost;
    if (users[n].psi_upper > users[static_cast<std::size_t>(bound.user)].psi_upper) {
      bound.user = static_cast<int>(n);
    }
    // A user without any split within the box: no plan is in it.
    if (users[n].psi_upper == -kInfinity) return {-kInfinity, 0.0, static_cast<int>(n)};
  }
  return bound;
}

// The same where users have a worth: servers choose among all users.
BoxBound BoundServers(const Scenario& scenario,
                      const DeadlineBox& box,
                      double scr_upper,
                      double tolerance,
                      int threads) {
  std::vector<std::vector<Candidate>> candidates(scenario.servers.size());
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    for (const Link& link : scenario.links[n]) {
      candidates[static_cast<std::size_t>(link.server)].push_back({n, link});
    }
  }
  std::vector<ServerBound> servers(scenario.servers.size());
  ParallelFor(servers.size(), threads, [&](std::size_t m) {
    servers[m] = BoundServer(scenario, box, scr_upper, m, candidates[m], tolerance);
  });
  BoxBound bound{.excess = 0.0};
  const auto largest = std::max_element(box.user_worth.begin(), box.user_worth.end());
  bound.user = static_cast<int>(largest - box.user_worth.begin());
  for (const double worth : box.user_worth) bound.excess = Up(bound.excess + worth);
  for (const ServerBound& server : servers) {
    bound.excess = Up(bound.excess + server.upper);
    bound.slope -= server.cost;
    if (server.upper == -kInfinity) return kEmptyBox;
  }
  return bound;
}

// D(y; prices) of one box (9).
BoxBound BoundBox(const Scenario& scenario,
                  const DeadlineBox& box,
                  double scr_upper,
                  int threads,
                  double relative_tolerance = kTolerance) {
  const double tolerance = relative_tolerance * scenario.objective.score_scale;
  BoxBound bound = box.user_worth.empty()
                       ? BoundUsers(scenario, box, scr_upper, tolerance, threads)
                       : BoundServers(scenario, box, scr_upper, tolerance, threads);
  if (bound.excess == -kInfinity) return bound;
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

// The same, roughly where that proves the box.
BoxBound ProveBox(const Scenario& scenario, const DeadlineBox& box, double scr_upper, int threads) {
  if (scenario.objective.delay == DelayMode::kMakespan) {
    const BoxBound rough = BoundBox(scenario, box, scr_upper, threads, kRough);
    if (rough.excess <= 0.0) return rough;
  }
  return BoundBox(scenario, box, scr_upper, threads);
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
    const BoxBound bound = ProveBox(scenario, box, certificate.scr_upper, threads);
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
  std::vector<double> proven_at;  // Per box, the y at which it was last proven as it stands.
  for (DeadlineBox& box : raised.boxes) {
    proven_at.push_back(y);
    // A box that the y so far proves needs no y of its own.
    if (y > 0.0 && ProveBox(scenario, box, y, threads).excess <= 0.0) continue;
    const double start = y > 0.0 ? y : certificate.scr_upper;
    auto least = LeastProven(scenario, box, start, threads);
    // Cases that prove little are dropped where prices alone prove more.
    if (!box.user_worth.empty() && (!least || *least > start * (1.0 + kFarOff))) {
      DeadlineBox plain = box;
      plain.user_worth.clear();
      plain.cases.clear();
      const auto without = LeastProven(scenario, plain, start, threads);
      if (without && (!least || *without < *least)) {
        box = std::move(plain);
        least = without;
      }
    }
    if (!least) return tl::unexpected(least.error());
    proven_at.back() = *least;
    y = std::max(y, *least);
  }
  // Excess need not fall with y in a box whose weights exceed w_t: look again at those that were
  // proven at a lower one.
  for (int i = 0; i < kRaisesMax && y > 0.0; ++i, y *= 1.0 + 1e-6) {
    raised.scr_upper = y;
    bool proven = true;
    for (std::size_t k = 0; k < proven_at.size() && proven; ++k) {
      if (proven_at[k] == y) continue;
      proven = ProveBox(scenario, raised.boxes[k], y, threads).excess <= 0.0;
      if (proven) proven_at[k] = y;
    }
    if (proven) return raised;
  }
  return Fail(ErrorKind::kNumerical, "certificate", "proves no bound with these prices");
}

}  // namespace dashf::certificate
