#include "certificate/box_bound.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "certificate/rounding.h"
#include "certificate/server_bound.h"
#include "certificate/user_bound.h"

namespace dashf::certificate {
namespace {

constexpr std::size_t kChunk = 16;  // Users that a thread takes at a time.

// min over T in [min, max] of (w_t - sum of weights) T, rounded down: what the barrier itself
// costs beside what its users carry.
double BarrierCost(double w_t, const std::vector<double>& weights, double min, double max) {
  Interval left = w_t;
  // Nothing less nothing is rounded below 0, which no infinite end bears.
  for (const double weight : weights) {
    if (weight > 0.0) left = left - Interval(weight);
  }
  if (left.lo >= 0.0) return Down(left.lo * min);
  return std::isfinite(max) ? Down(left.lo * max) : -kInfinity;
}

constexpr BoxBound kEmptyBox{-kInfinity, 0.0, 0};

// D(y; prices) (9) but for the barriers; users choose among all servers.
BoxBound BoundUsers(const Scenario& scenario,
                    const DeadlineBox& box,
                    double scr_upper,
                    double tolerance,
                    const Effort& effort,
                    const SplitsLeft* left,
                    std::vector<double>* psi_upper) {
  std::vector<UserBound> users(scenario.users.size());
  ParallelFor((users.size() + kChunk - 1) / kChunk, effort.threads(), [&](std::size_t chunk) {
    const std::size_t end = std::min((chunk + 1) * kChunk, users.size());
    for (std::size_t n = chunk * kChunk; n < end; ++n) {
      const auto* of_user = left == nullptr ? nullptr : &(*left)[n];
      users[n] = BoundUser(scenario, box, scr_upper, n, tolerance, effort, of_user);
    }
  });
  BoxBound bound{.excess = 0.0};
  for (std::size_t m = 0; m < box.servers.size(); ++m) {
    const Server& server = scenario.servers[m];
    if (server.slots == 0) continue;  // Nobody pays it anything.
    const double slots = Up(box.servers[m].slot * server.slots.value_or(0));
    bound.excess = Up(bound.excess + Up(CapacityWorth(server, box.servers[m]) + slots));
  }
  if (psi_upper != nullptr) psi_upper->clear();
  for (std::size_t n = 0; n < users.size(); ++n) {
    if (psi_upper != nullptr) psi_upper->push_back(users[n].psi_upper);
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
                      const Effort& effort) {
  std::vector<std::vector<Candidate>> candidates(scenario.servers.size());
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    for (const Link& link : scenario.links[n]) {
      candidates[static_cast<std::size_t>(link.server)].push_back({n, link});
    }
  }
  std::vector<ServerBound> servers(scenario.servers.size());
  ParallelFor(servers.size(), effort.threads(), [&](std::size_t m) {
    servers[m] = BoundServer(scenario, box, scr_upper, m, candidates[m], tolerance, effort);
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

}  // namespace

BoxBound BoundBox(const Scenario& scenario,
                  const DeadlineBox& box,
                  double scr_upper,
                  const Effort& effort,
                  double relative_tolerance,
                  const SplitsLeft* left,
                  std::vector<double>* psi_upper) {
  const double tolerance = relative_tolerance * scenario.objective.score_scale;
  BoxBound bound = box.user_worth.empty()
                       ? BoundUsers(scenario, box, scr_upper, tolerance, effort, left, psi_upper)
                       : BoundServers(scenario, box, scr_upper, tolerance, effort);
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

BoxBound ProveBox(const Scenario& scenario,
                  const DeadlineBox& box,
                  double scr_upper,
                  const Effort& effort,
                  const SplitsLeft* left) {
  const bool roughly_first = scenario.objective.delay == DelayMode::kMakespan;
  const BoxBound bound =
      BoundBox(scenario, box, scr_upper, effort, roughly_first ? kRough : kTolerance, left);
  if (bound.excess <= 0.0) return bound;
  const BoxBound other =
      BoundBox(scenario, box, scr_upper, effort, roughly_first ? kTolerance : kRough, left);
  return other.excess < bound.excess ? other : bound;
}

}  // namespace dashf::certificate
