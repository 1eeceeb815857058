#include "certificate/server_bound.h"

#include <algorithm>

#include "certificate/cases.h"
#include "certificate/user_bound.h"

namespace dashf::certificate {
namespace {

const UserCase* FindAsked(const ServerCase& one, std::size_t user) {
  const auto at = std::find_if(one.asked.begin(), one.asked.end(), [user](const UserCase& asked) {
    return asked.user == static_cast<int>(user);
  });
  return at == one.asked.end() ? nullptr : &*at;
}

// How many users there may be once every answer is taken into account; min > max: no set of users
// answers like this. Never leaves out a number that occurs.
struct UserCount {
  int min = 0, max = 0;
};
UserCount CountUsers(const ServerCase& one, std::size_t candidates) {
  constexpr UserCount kNone{1, 0};
  int surely = 0, at_most = static_cast<int>(candidates);
  for (const UserCase& asked : one.asked) {
    const bool may_be =
        std::find(asked.allowed.begin(), asked.allowed.end(), true) != asked.allowed.end();
    if (!asked.elsewhere && !may_be) return kNone;
    if (!asked.elsewhere) ++surely;
    if (!may_be) --at_most;
  }
  return {std::max(one.users_min, surely), std::min(one.users_max, std::max(at_most, 0))};
}

}  // namespace

double CapacityWorth(const Server& server, const ServerPrices& prices) {
  const Interval widened = Interval(1.0) + Interval(kLimitSlack);
  return (widened * (Interval(prices.bandwidth_per_hz) * server.bandwidth_hz +
                     Interval(prices.power_per_w) * server.tx_power_w_max +
                     Interval(prices.clock_per_hz) * server.compute.clock_hz_max))
      .hi;
}

ServerBound BoundServer(const Scenario& scenario,
                        const DeadlineBox& box,
                        double scr_upper,
                        std::size_t server,
                        std::span<const Candidate> candidates,
                        double tolerance,
                        const Effort& effort) {
  ServerBound largest;
  const auto bound_case = [&](const ServerCase& one) {
    const UserCount count = CountUsers(one, candidates.size());
    if (count.min > count.max) return;
    if (count.max == 0) {  // Without users it brings nothing.
      largest.upper = std::max(largest.upper, 0.0);
      return;
    }
    const double users = one.prices.slot >= 0.0 ? count.max : count.min;
    ServerBound bound;
    bound.upper =
        Up(CapacityWorth(scenario.servers[server], one.prices) + Up(one.prices.slot * users));
    for (const Candidate& candidate : candidates) {
      const UserCase* asked = FindAsked(one, candidate.user);
      const bool elsewhere = asked == nullptr || asked->elsewhere;
      const double worth = box.user_worth[candidate.user];
      const UserBound user = BoundUserOnServer(scenario,
                                               box,
                                               scr_upper,
                                               candidate.user,
                                               candidate.link,
                                               one.prices,
                                               asked == nullptr ? nullptr : &asked->allowed,
                                               elsewhere ? worth : -kInfinity,
                                               tolerance,
                                               effort);
      if (user.psi_upper == -kInfinity) {
        if (!elsewhere) return;  // Nobody fits this case.
        continue;
      }
      const double gain = Up(user.psi_upper - worth);
      if (elsewhere && gain <= 0.0) continue;
      bound.upper = Up(bound.upper + gain);
      bound.cost += user.cost;
    }
    if (bound.upper != bound.upper) bound.upper = kInfinity;
    if (bound.upper > largest.upper) largest = bound;
  };
  ForEachCase(scenario, box, server, bound_case);
  return largest;
}

}  // namespace dashf::certificate
