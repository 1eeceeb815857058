#include "solvers/method.h"

#include <algorithm>
#include <array>

#include "solvers/baselines.h"
#include "solvers/dashf.h"
#include "solvers/exhaustive.h"
#include "solvers/prices.h"

namespace dashf::solvers {
namespace {

constexpr std::array kMethods = {
    Method{"prices",
           "prices on the servers' resources, moves and exchanges of users; bounds its own gap",
           SolvePrices,
           true},
    Method{"dashf",
           "Dinkelbach, alternating optimisation, semidefinite relaxation, Hungarian rounding",
           SolveDashf},
    Method{"dashf-hull",
           "dashf with the convex hull of each user's choices as its relaxation",
           SolveDashfHull},
    Method{"dashf-one-start",
           "dashf from the strongest servers alone, not from balanced loads as well",
           SolveDashfOneStart},
    Method{"dashf-mean-shares",
           "dashf that values servers not in use at a mean share, not at that of one who joins",
           SolveDashfMeanShares},
    Method{"random", "a random server for each user, equal shares, best splits", SolveRandom},
    Method{"greedy", "the strongest server for each user, equal shares, best splits", SolveGreedy},
    Method{"association-only",
           "association optimised (Hungarian, then single moves), equal shares",
           SolveAssociationOnly},
    Method{"resource-only", "greedy's association and splits, best resources", SolveResourceOnly},
    Method{"all-local", "every user trains all layers (k = L), best resources", SolveAllLocal},
    Method{"all-server",
           "the servers train all layers (k = 0), the strongest server, best resources",
           SolveAllServer},
    Method{
        "exhaustive", "the best of all associations and splits (small scenarios)", SolveExhaustive},
};

}  // namespace

bool StartsFromPlan(const Method& method, const Scenario& scenario) {
  return method.starts_from_plan && scenario.objective.delay == DelayMode::kSum;
}

std::vector<ServerPrices> PricesOf(const Scenario& scenario, const SolveResult& solved) {
  if (!solved.certificate || scenario.objective.delay != DelayMode::kSum) return {};
  return solved.certificate->boxes.front().servers;
}

std::span<const Method> Methods() {
  return kMethods;
}

const Method* FindMethod(std::string_view name) {
  const auto at = std::find_if(
      kMethods.begin(), kMethods.end(), [&](const Method& method) { return method.name == name; });
  return at == kMethods.end() ? nullptr : &*at;
}

}  // namespace dashf::solvers
