#include "solvers/explanation.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "problem/evaluation.h"
#include "solvers/resource_step.h"

namespace dashf::solvers {
namespace {

constexpr double kPercent = 0.01;

double CapacityOf(const Server& server, SharedResource resource) {
  switch (resource) {
    case SharedResource::kBandwidth:
      return server.bandwidth_hz;
    case SharedResource::kPower:
      return server.tx_power_w_max;
    case SharedResource::kClock:
      return server.compute.clock_hz_max;
  }
  return 0.0;
}

double GrantedTo(const Decision& decision, SharedResource resource) {
  switch (resource) {
    case SharedResource::kBandwidth:
      return decision.bandwidth_hz;
    case SharedResource::kPower:
      return decision.server_tx_power_w;
    case SharedResource::kClock:
      return decision.server_clock_hz;
  }
  return 0.0;
}

Server Enlarged(Server server, SharedResource resource) {
  (resource == SharedResource::kBandwidth ? server.bandwidth_hz
   : resource == SharedResource::kPower   ? server.tx_power_w_max
                                          : server.compute.clock_hz_max) *= 1.0 + kPercent;
  return server;
}

class Explainer {
 public:
  Explainer(const Scenario& scenario, const Plan& plan, const Evaluation& evaluation)
      : scenario_(scenario), plan_(plan), y_(evaluation.scr), cost_(evaluation.cost) {
    users_of_.resize(scenario.servers.size());
    for (std::size_t n = 0; n < plan.size(); ++n) {
      users_of_[At(plan[n].server)].push_back(static_cast<int>(n));
    }
  }

  Expected<Explanation> Go(std::span<const int> users) {
    Explanation explanation;
    if (auto found = PriceCapacities(&explanation); !found) return tl::unexpected(found.error());
    for (const int user : users) {
      auto reason = Reason(user);
      if (!reason) return tl::unexpected(reason.error());
      explanation.users.push_back(std::move(*reason));
    }
    return explanation;
  }

 private:
  using Users = std::vector<int>;

  static std::size_t At(int index) { return static_cast<std::size_t>(index); }
  bool Coupled() const { return scenario_.objective.delay == DelayMode::kMakespan; }

  // Whose resources an event at these servers moves.
  Users UsersAt(const std::set<int>& servers) const {
    Users users;
    for (std::size_t n = 0; n < plan_.size(); ++n) {
      if (Coupled() || servers.contains(plan_[n].server)) users.push_back(static_cast<int>(n));
    }
    return users;
  }

  struct Gain {
    double value = 0.0;  // F(y).
    double cost = 0.0;
  };

  // Of these users alone, their servers' capacities theirs; user `moved` at `choice`.
  Expected<Gain> GainOf(const Users& users,
                        const std::vector<Server>& servers,
                        int moved = -1,
                        Choice choice = {}) const {
    if (users.empty()) return Gain{};
    Scenario part;
    part.objective = scenario_.objective;
    part.noise_density_w_per_hz = scenario_.noise_density_w_per_hz;
    part.servers = servers;
    Association association;
    for (const int user : users) {
      part.users.push_back(scenario_.users[At(user)]);
      part.users.back().profile = static_cast<int>(part.profiles.size());
      part.profiles.push_back(scenario_.ProfileOf(scenario_.users[At(user)]));
      part.links.push_back(scenario_.links[At(user)]);
      const Decision& decision = plan_[At(user)];
      association.push_back(user == moved ? choice
                                          : Choice{decision.server, decision.local_layers});
    }
    const auto problem = MakeScrProblem(part);
    if (!problem) return tl::unexpected(problem.error());
    const ResourceResult best = AllocateResources(*problem, association, y_);
    return Gain{best.score - y_ * best.cost, best.cost};
  }

  // (score' - y cost') / (y cost') where the rest of the plan stays: SCR' / SCR - 1.
  double Change(const Gain& from, const Gain& to) const {
    return (to.value - from.value) / (y_ * (cost_ + to.cost - from.cost));
  }

  Expected<void> PriceCapacities(Explanation* explanation) {
    Gain whole;  // Of the plan with the best resources.
    Gain base;
    for (std::size_t m = 0; m < users_of_.size(); ++m) {
      const auto here = static_cast<int>(m);
      if (users_of_[m].empty()) continue;
      const Users users = UsersAt({here});
      if (!Coupled() || whole.cost == 0.0) {
        const auto found = GainOf(users, scenario_.servers);
        if (!found) return tl::unexpected(found.error());
        base = *found;
        whole = {whole.value + base.value, whole.cost + base.cost};
      }
      for (const SharedResource resource :
           {SharedResource::kBandwidth, SharedResource::kPower, SharedResource::kClock}) {
        std::vector<Server> servers = scenario_.servers;
        servers[m] = Enlarged(servers[m], resource);
        const auto more = GainOf(users, servers);
        if (!more) return tl::unexpected(more.error());
        double used = 0.0;
        for (const int user : users_of_[m]) used += GrantedTo(plan_[At(user)], resource);
        explanation->capacities.push_back({here,
                                           resource,
                                           used / CapacityOf(scenario_.servers[m], resource),
                                           Change(base, *more)});
      }
    }
    explanation->unused_scr = whole.value / (y_ * whole.cost);
    return {};
  }

  Expected<UserReason> Reason(int user) const {
    const Decision& decision = plan_[At(user)];
    UserReason reason{user, {decision.server, decision.local_layers}, {}, {}};
    for (const Link& link : scenario_.links[At(user)]) {
      const bool same = link.server == decision.server;
      if (!same && Full(link.server)) continue;
      const Users users = UsersAt({decision.server, link.server});
      const auto base = GainOf(users, scenario_.servers);
      if (!base) return tl::unexpected(base.error());
      auto& best = same ? reason.other_split : reason.other_server;
      const int layers = scenario_.ProfileOf(scenario_.users[At(user)]).layers();
      for (int k = 0; k <= layers; ++k) {
        if (!scenario_.SplitAllowed(scenario_.users[At(user)], k)) continue;
        if (same && k == decision.local_layers) continue;
        const Choice choice{link.server, k};
        const auto changed = GainOf(users, scenario_.servers, user, choice);
        if (!changed) return tl::unexpected(changed.error());
        const double change = Change(*base, *changed);
        if (!best || change > best->scr_change) best = Alternative{choice, change};
      }
    }
    return reason;
  }

  bool Full(int server) const {
    const auto& slots = scenario_.servers[At(server)].slots;
    return slots && static_cast<int>(users_of_[At(server)].size()) >= *slots;
  }

  const Scenario& scenario_;
  const Plan& plan_;
  const double y_, cost_;
  std::vector<Users> users_of_;
};

}  // namespace

Expected<Explanation> Explain(const Scenario& scenario,
                              const Plan& plan,
                              std::span<const int> users) {
  const Evaluation evaluation = Evaluate(scenario, plan);
  if (!evaluation.feasible) {
    const Violation& first = evaluation.violations.front();
    return Fail(ErrorKind::kInfeasible, first.where, "the plan breaks a limit: " + first.rule);
  }
  if (!(evaluation.scr > 0.0)) {
    return Fail(ErrorKind::kInfeasible, "plan", "earns no score: nobody is served");
  }
  return Explainer(scenario, plan, evaluation).Go(users);
}

}  // namespace dashf::solvers
