#include "solvers/baselines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/rng.h"
#include "opt/assignment.h"
#include "solvers/best_splits.h"
#include "solvers/equal_share_moves.h"
#include "solvers/planning_log.h"
#include "solvers/resource_step.h"

namespace dashf::solvers {
namespace {

constexpr int kRoundsMax = 20;
constexpr double kGainMin = 1e-9;  // Relative: less is rounding.

// Costs of one user's candidate servers -> the assignment of least cost within the slots.
using PairCost = std::function<double(int user, int link)>;
Expected<std::vector<int>> Assign(const ScrProblem& problem,
                                  const std::vector<int>& capacity,
                                  const PairCost& cost) {
  opt::AssignmentProblem assignment;
  assignment.capacity = capacity;
  assignment.candidates.resize(problem.tx_power_w_max.size());
  for (int n = 0; n < problem.users(); ++n) {
    const auto user = static_cast<std::size_t>(n);
    for (int link = problem.link_begin[user]; link < problem.link_begin[user + 1]; ++link) {
      assignment.candidates[user].push_back(
          {problem.link_server[static_cast<std::size_t>(link)], cost(n, link)});
    }
  }
  auto solved = opt::SolveAssignment(assignment);
  if (!solved) return tl::unexpected(solved.error());
  return std::move(solved->column_of_row);
}

double LossDb(const ScrProblem& problem, int link) {
  return -10.0 * std::log10(problem.link_snr_hz_per_w[static_cast<std::size_t>(link)]);
}

std::vector<int> Loads(const ScrProblem& problem, const std::vector<int>& server_of_user) {
  std::vector<int> load(problem.server_slots.size(), 0);
  for (const int m : server_of_user) ++load[static_cast<std::size_t>(m)];
  return load;
}

std::vector<int> ServersOf(const Association& association) {
  std::vector<int> servers(association.size());
  std::transform(association.begin(), association.end(), servers.begin(), [](const Choice& choice) {
    return choice.server;
  });
  return servers;
}

double EqualSharesScr(const ScrProblem& problem, const Association& association) {
  return TotalsOf(problem, EqualShares(problem, association)).Scr();
}

// The Hungarian step: users who stay count in their server's load, each joining user comes on top.
Expected<std::vector<int>> AssignAtEqualShares(const ScrProblem& problem,
                                               const std::vector<int>& servers,
                                               double y) {
  const std::vector<int> load = Loads(problem, servers);
  return Assign(problem, problem.server_slots, [&](int user, int link) {
    const int m = problem.link_server[static_cast<std::size_t>(link)];
    const bool stays = servers[static_cast<std::size_t>(user)] == m;
    return LossAtEqualShare(
               problem, user, m, load[static_cast<std::size_t>(m)] + (stays ? 0 : 1), y)
        .loss;
  });
}

SolveResult FinishWithEqualShares(const ScrProblem& problem,
                                  const Association& association,
                                  Log* log) {
  Plan plan = EqualShares(problem, association);
  log->Add(TotalsOf(problem, plan).Scr(), 0.0, "equal shares");
  return log->Finish(std::move(plan), Termination::kConverged);
}

SolveResult FinishWithBestResources(const ScrProblem& problem,
                                    const Association& association,
                                    Log* log) {
  log->Add(TotalsOf(problem, EqualShares(problem, association)).Scr(), 0.0, "start");
  RatioResult result =
      MaximizeScrForAssociation(problem, association, nullptr, {.elapsed_s = log->TimeLeftS()});
  log->Add(result.scr, result.residual, "resources");
  return log->Finish(std::move(result.plan), result.termination);
}

// Every user at the same end of the table. kInfeasible names the user who may not.
Expected<SolveResult> SolveAtSplit(const Scenario& scenario,
                                   const SolveOptions& options,
                                   bool all_local) {
  Log log(options);
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  const auto servers = StrongestServers(*problem);
  if (!servers) return tl::unexpected(servers.error());
  Association association(servers->size());
  for (std::size_t n = 0; n < association.size(); ++n) {
    const int k = all_local ? problem->layers[n] : 0;
    if (problem->FindSplit(static_cast<int>(n), k) < 0) {
      return Fail(ErrorKind::kInfeasible,
                  "user " + scenario.users[n].id,
                  fmt::format("its memory does not allow split k = {}", k));
    }
    association[n] = {(*servers)[n], k};
  }
  if (TotalsOf(*problem, EqualShares(*problem, association)).cost == 0.0) {
    return Fail(ErrorKind::kInfeasible,
                all_local ? "method all-local" : "method all-server",
                "its plan costs nothing, which is no ratio");
  }
  return FinishWithBestResources(*problem, association, &log);
}

}  // namespace

Expected<std::vector<int>> StrongestServers(const ScrProblem& problem) {
  return Assign(
      problem, problem.server_slots, [&](int, int link) { return LossDb(problem, link); });
}

Expected<std::vector<int>> BalancedServers(const ScrProblem& problem) {
  const int part = (problem.users() + problem.servers() - 1) / problem.servers();
  std::vector<int> capacity = problem.server_slots;
  for (int& slots : capacity) slots = std::min(slots, part);
  return Assign(problem, capacity, [&](int, int link) { return LossDb(problem, link); });
}

Expected<SolveResult> SolveRandom(const Scenario& scenario, const SolveOptions& options) {
  Log log(options);
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  Rng rng = Rng(options.seed).Stream("random association");
  const auto servers =
      Assign(*problem, problem->server_slots, [&](int, int) { return rng.Uniform(); });
  if (!servers) return tl::unexpected(servers.error());
  return FinishWithEqualShares(*problem, BestSplits(*problem, *servers), &log);
}

Expected<SolveResult> SolveGreedy(const Scenario& scenario, const SolveOptions& options) {
  Log log(options);
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  const auto servers = StrongestServers(*problem);
  if (!servers) return tl::unexpected(servers.error());
  return FinishWithEqualShares(*problem, BestSplits(*problem, *servers), &log);
}

Expected<SolveResult> SolveAssociationOnly(const Scenario& scenario, const SolveOptions& options) {
  Log log(options);
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  const auto servers = StrongestServers(*problem);
  if (!servers) return tl::unexpected(servers.error());
  Association association = BestSplits(*problem, *servers);
  double scr = EqualSharesScr(*problem, association);
  log.Add(scr, 0.0, "start");
  const auto accept = [&](const Association& candidate, const char* step) {
    const double candidate_scr = EqualSharesScr(*problem, candidate);
    if (!(candidate_scr > scr * (1.0 + kGainMin))) return false;
    association = candidate;
    scr = candidate_scr;
    log.Add(scr, 0.0, step);
    return true;
  };
  for (int round = 0; round < kRoundsMax; ++round) {
    if (log.TimeLeftS() <= 0.0) break;
    const auto assigned = AssignAtEqualShares(*problem, ServersOf(association), scr);
    if (!assigned) return tl::unexpected(assigned.error());
    if (accept(BestSplits(*problem, *assigned), "assignment")) continue;
    const Association moved =
        MoveSingleUsers(*problem, association, scr, [&log] { return log.TimeLeftS() <= 0.0; });
    accept(moved, "one-user moves");
    if (!accept(BestSplits(*problem, ServersOf(moved)), "splits")) break;
  }
  const bool in_time = log.TimeLeftS() > 0.0;
  return log.Finish(EqualShares(*problem, association),
                    in_time ? Termination::kConverged : Termination::kTimeLimit);
}

Expected<SolveResult> SolveResourceOnly(const Scenario& scenario, const SolveOptions& options) {
  Log log(options);
  const auto problem = MakeScrProblem(scenario);
  if (!problem) return tl::unexpected(problem.error());
  const auto servers = StrongestServers(*problem);
  if (!servers) return tl::unexpected(servers.error());
  return FinishWithBestResources(*problem, BestSplits(*problem, *servers), &log);
}

Expected<SolveResult> SolveAllLocal(const Scenario& scenario, const SolveOptions& options) {
  if (!scenario.objective.all_local_allowed) {
    return Fail(ErrorKind::kUsage, "method all-local", "objective.all_local_allowed is false");
  }
  return SolveAtSplit(scenario, options, true);
}

Expected<SolveResult> SolveAllServer(const Scenario& scenario, const SolveOptions& options) {
  return SolveAtSplit(scenario, options, false);
}

}  // namespace dashf::solvers
