#include "replanning/kept_association.h"

#include <cstddef>
#include <optional>
#include <vector>

#include "base/check.h"
#include "solvers/equal_share_moves.h"
#include "solvers/resource_step.h"
#include "solvers/scr_problem.h"

namespace dashf::replanning {
namespace {

using solvers::Association;
using solvers::Choice;
using solvers::ScrProblem;

// Per user of the scenario: what it does, or none.
using Choices = std::vector<std::optional<Choice>>;

struct Served {
  Scenario scenario;
  Association association;
};

Served WhoIsServed(const Scenario& scenario, const Choices& choices) {
  Served served{scenario, {}};
  served.scenario.users.clear();
  served.scenario.links.clear();
  for (std::size_t n = 0; n < choices.size(); ++n) {
    if (!choices[n]) continue;
    served.scenario.users.push_back(scenario.users[n]);
    served.scenario.links.push_back(scenario.links[n]);
    served.association.push_back(*choices[n]);
  }
  return served;
}

class Servers {
 public:
  explicit Servers(const ScrProblem& problem)
      : problem_(problem), load_(static_cast<std::size_t>(problem.servers()), 0) {}

  bool Takes(std::size_t user, int server) const {
    const auto m = static_cast<std::size_t>(server);
    return load_[m] < problem_.server_slots[m] &&
           problem_.FindLink(static_cast<int>(user), server) >= 0;
  }
  void Take(int server) { ++load_[static_cast<std::size_t>(server)]; }

  std::optional<Choice> Cheapest(std::size_t user, double y) const {
    std::optional<Choice> best;
    double least = 0.0;
    for (int link = problem_.link_begin[user]; link < problem_.link_begin[user + 1]; ++link) {
      const int server = problem_.link_server[static_cast<std::size_t>(link)];
      if (!Takes(user, server)) continue;
      const int load = load_[static_cast<std::size_t>(server)] + 1;
      const auto there =
          solvers::LossAtEqualShare(problem_, static_cast<int>(user), server, load, y);
      if (best && !(there.loss < least)) continue;
      best = Choice{server, there.local_layers};
      least = there.loss;
    }
    return best;
  }

 private:
  const ScrProblem& problem_;
  std::vector<int> load_;
};

}  // namespace

Expected<KeptPlan> PlanWithoutSearch(const Scenario& scenario, const StandingPlan& standing) {
  const auto problem = solvers::MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  Choices choices(scenario.users.size());
  Servers servers(*problem);
  for (std::size_t n = 0; n < choices.size(); ++n) {
    const std::optional<Decision>& before = standing.decisions[n];
    if (!before || !servers.Takes(n, before->server)) continue;
    choices[n] = Choice{before->server, before->local_layers};
    servers.Take(before->server);
  }
  const Served kept = WhoIsServed(scenario, choices);
  DASHF_CHECK(!kept.association.empty());
  const auto kept_problem = solvers::MakeScrProblem(kept.scenario);
  if (!kept_problem) return tl::unexpected(kept_problem.error());
  const double y =
      TotalsOf(*kept_problem, solvers::EqualShares(*kept_problem, kept.association)).Scr();
  for (std::size_t n = 0; n < choices.size(); ++n) {
    if (choices[n]) continue;
    choices[n] = servers.Cheapest(n, y);
    if (choices[n]) servers.Take(choices[n]->server);
  }
  Served served = WhoIsServed(scenario, choices);
  const auto served_problem = solvers::MakeScrProblem(served.scenario);
  if (!served_problem) return tl::unexpected(served_problem.error());
  auto shares = solvers::MaximizeScrForAssociation(*served_problem, served.association);
  return KeptPlan{std::move(served.scenario), std::move(shares.plan)};
}

}  // namespace dashf::replanning
