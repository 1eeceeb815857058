#include "cli/planner/replanning.h"

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <utility>

#include "certificate/verification.h"
#include "problem/evaluation.h"
#include "problem/standing_plan.h"

namespace dashf::cli {
namespace {

struct Planned {
  solvers::SolveResult solved;
  double scr = 0.0;
  double processor_s = 0.0;
};

double ProcessorS() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

Expected<Planned> PlanAndCheck(const Scenario& scenario, const solvers::SolveOptions& options) {
  const double start_s = ProcessorS();
  auto solved = solvers::FindMethod("prices")->solve(scenario, options);
  const double processor_s = ProcessorS() - start_s;
  if (!solved) return tl::unexpected(solved.error());
  const Evaluation evaluation = Evaluate(scenario, solved->plan);
  if (!evaluation.feasible) {
    return Fail(ErrorKind::kNumerical, scenario.name, "the plan breaks a limit");
  }
  if (!solved->certificate) {
    return Fail(ErrorKind::kNumerical, scenario.name, "there was no time for a bound");
  }
  return Planned{std::move(*solved), evaluation.scr, processor_s};
}

NamedPlan NameIds(const Scenario& scenario, const solvers::SolveResult& solved) {
  NamedPlan named;
  for (const User& user : scenario.users) named.users.push_back(user.id);
  for (const Server& server : scenario.servers) named.servers.push_back(server.id);
  named.document.plan = solved.plan;
  named.document.prices = solved.certificate->boxes.front().servers;
  return named;
}

}  // namespace

Scenario WithUsersMoved(Scenario scenario, Rng rng) {
  constexpr std::size_t kEvery = 100;
  const std::vector<User> users = scenario.users;
  const std::vector<std::vector<Link>> links = scenario.links;
  for (std::size_t n = 0; n < users.size(); n += kEvery) {
    const auto other = static_cast<std::size_t>(rng.Below(users.size()));
    scenario.users[n].position_m = users[other].position_m;
    scenario.links[n] = links[other];
  }
  return scenario;
}

Expected<Scenario> WithoutOneServer(Scenario scenario, Rng rng) {
  const auto gone = static_cast<int>(rng.Below(scenario.servers.size()));
  scenario.servers.erase(scenario.servers.begin() + gone);
  for (std::vector<Link>& links : scenario.links) {
    std::erase_if(links, [gone](const Link& link) { return link.server == gone; });
    for (Link& link : links) link.server -= link.server > gone ? 1 : 0;
  }
  if (const auto valid = Validate(scenario); !valid) return tl::unexpected(valid.error());
  return scenario;
}

Expected<Replanning> MeasureReplanning(const Scenario& before,
                                       const Scenario& now,
                                       const solvers::SolveOptions& options) {
  const auto standing_plan = PlanAndCheck(before, options);
  if (!standing_plan) return tl::unexpected(standing_plan.error());
  const auto standing = MatchPlan(NameIds(before, standing_plan->solved), now);
  if (!standing) return tl::unexpected(standing.error());
  const auto afresh = PlanAndCheck(now, options);
  if (!afresh) return tl::unexpected(afresh.error());
  solvers::SolveOptions from = options;
  from.from = &*standing;
  const auto next = PlanAndCheck(now, from);
  if (!next) return tl::unexpected(next.error());
  const auto proven = certificate::RaiseToProof(now, *next->solved.certificate, options.threads);
  if (!proven) return tl::unexpected(proven.error());
  return Replanning{.afresh_s = afresh->processor_s,
                    .replan_s = next->processor_s,
                    .users_displaced = standing->users_displaced,
                    .handovers_afresh = Handovers(*standing, afresh->solved.plan),
                    .handovers = Handovers(*standing, next->solved.plan),
                    .gap_afresh = 1.0 - afresh->scr / proven->scr_upper,
                    .gap = 1.0 - next->scr / proven->scr_upper};
}

}  // namespace dashf::cli
