#include "replanning/policy.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <ctime>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "certificate/verification.h"
#include "problem/evaluation.h"
#include "problem/plan_io.h"
#include "problem/standing_plan.h"
#include "replanning/kept_association.h"
#include "solvers/method.h"

namespace dashf::replanning {
namespace {

constexpr std::string_view kPenalty = "penalty=";

double ThreadProcessorS() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Planned {
  Scenario scenario;  // Of the users who have a decision.
  Plan plan;
  std::vector<ServerPrices> prices;
  std::optional<Certificate> certificate;
};

solvers::SolveOptions OptionsOf(const Planning& planning) {
  return {.gap_target = planning.gap_target, .wants_bound = planning.gaps, .on_iteration = {}};
}

Expected<Planned> Search(const Scenario& scenario, const solvers::SolveOptions& options) {
  auto solved = solvers::FindMethod("prices")->solve(scenario, options);
  if (!solved) return tl::unexpected(solved.error());
  auto prices = solvers::PricesOf(scenario, *solved);
  return Planned{
      scenario, std::move(solved->plan), std::move(prices), std::move(solved->certificate)};
}

NamedPlan WithIds(const Planned& planned) {
  NamedPlan named;
  for (const User& user : planned.scenario.users) named.users.push_back(user.id);
  for (const Server& server : planned.scenario.servers) named.servers.push_back(server.id);
  named.document.plan = planned.plan;
  named.document.prices = planned.prices;
  return named;
}

// None where nobody is left of whom the plan before knew a server that is there.
std::optional<StandingPlan> StandingIn(const std::optional<NamedPlan>& before,
                                       const Scenario& scenario) {
  if (!before) return std::nullopt;
  auto standing = MatchPlan(*before, scenario);
  if (!standing || standing->users_kept == standing->users_displaced) return std::nullopt;
  return std::move(*standing);
}

Expected<Planned> PlanRound(const Scenario& scenario,
                            const Policy& policy,
                            const std::optional<NamedPlan>& before,
                            const Planning& planning) {
  solvers::SolveOptions options = OptionsOf(planning);
  if (policy.kind == Policy::Kind::kAfresh) return Search(scenario, options);
  const std::optional<StandingPlan> standing = StandingIn(before, scenario);
  if (!standing) return Search(scenario, options);
  if (policy.kind == Policy::Kind::kNever) {
    auto kept = PlanWithoutSearch(scenario, *standing);
    if (!kept) return tl::unexpected(kept.error());
    return Planned{std::move(kept->scenario), std::move(kept->plan), {}, {}};
  }
  options.from = &*standing;
  options.handover_penalty = policy.handover_penalty;
  return Search(scenario, options);
}

// From the plan's own search, else, where there was none, from another one.
Expected<double> ProvenUpperScr(Planned planned, const Planning& planning) {
  if (!planned.certificate) {
    auto searched = Search(planned.scenario, OptionsOf(planning));
    if (!searched) return tl::unexpected(searched.error());
    planned.certificate = std::move(searched->certificate);
  }
  if (!planned.certificate) {
    return Fail(
        ErrorKind::kNumerical, "--gaps", "the search found no prices to prove a bound from");
  }
  const auto proven = certificate::RaiseToProof(planned.scenario, *planned.certificate, 1);
  if (!proven) return tl::unexpected(proven.error());
  return proven->scr_upper;
}

Expected<RoundOutcome> CarryOut(const WorldRound& now,
                                const Policy& policy,
                                const Planning& planning,
                                std::optional<NamedPlan>* before) {
  RoundOutcome outcome{.users = now.users, .servers = now.servers, .gap = {}};
  if (!now.scenario) return outcome;
  const double start_s = ThreadProcessorS();
  const auto planned = PlanRound(*now.scenario, policy, *before, planning);
  outcome.processor_s = ThreadProcessorS() - start_s;
  if (!planned) return tl::unexpected(planned.error());
  const Evaluation evaluation = Evaluate(planned->scenario, planned->plan);
  if (!evaluation.feasible) {
    const Violation& first = evaluation.violations.front();
    return Fail(ErrorKind::kNumerical, first.where, "the plan breaks a limit: " + first.rule);
  }
  outcome.layers = planned->scenario.profiles.front().layers();
  for (std::size_t n = 0; n < planned->plan.size(); ++n) {
    const std::string& id = planned->scenario.users[n].id;
    outcome.turns.push_back({id, planned->plan[n].local_layers, now.data_part.at(id)});
  }
  outcome.users_planned = static_cast<int>(planned->plan.size());
  outcome.scr = evaluation.scr;
  outcome.score = evaluation.score;
  outcome.cost = evaluation.cost;
  outcome.delay_s = evaluation.delay_s;
  outcome.energy_j = evaluation.energy_j;
  if (const auto standing = StandingIn(*before, planned->scenario)) {
    outcome.handovers = Handovers(*standing, planned->plan);
  }
  if (planning.gaps) {
    const auto upper = ProvenUpperScr(*planned, planning);
    if (!upper) return tl::unexpected(upper.error());
    outcome.gap = 1.0 - evaluation.scr / *upper;
  }
  *before = WithIds(*planned);
  return outcome;
}

}  // namespace

Expected<Policy> ParsePolicy(const std::string& text) {
  Policy policy{.name = text};
  if (text == "afresh") return policy;
  if (text == "never") {
    policy.kind = Policy::Kind::kNever;
    return policy;
  }
  policy.kind = Policy::Kind::kStanding;
  if (text == "standing") return policy;
  if (text.starts_with(kPenalty)) {
    const char* const end = text.data() + text.size();
    const auto [read, error] =
        std::from_chars(text.data() + kPenalty.size(), end, policy.handover_penalty);
    if (error == std::errc() && read == end && std::isfinite(policy.handover_penalty) &&
        policy.handover_penalty >= 0.0) {
      return policy;
    }
  }
  return Fail(ErrorKind::kUsage,
              "--policies",
              fmt::format("must be of afresh, standing, penalty=SCORE (a number >= 0) and never, "
                          "got {}",
                          text));
}

Expected<std::vector<RoundOutcome>> Follow(const World& world,
                                           int rounds,
                                           const Policy& policy,
                                           const Planning& planning) {
  std::vector<RoundOutcome> outcomes;
  std::optional<NamedPlan> before;
  for (int round = 0; round < rounds; ++round) {
    auto outcome = CarryOut(world.At(round), policy, planning, &before);
    if (!outcome) {
      Error error = outcome.error();
      error.where = fmt::format("round {}: {}", round + 1, error.where);
      return tl::unexpected(std::move(error));
    }
    outcomes.push_back(*outcome);
  }
  return outcomes;
}

}  // namespace dashf::replanning
