#include "problem/standing_plan.h"

#include <unordered_map>

namespace dashf {
namespace {

template <class Row>
std::unordered_map<std::string, std::size_t> IndexOf(const std::vector<Row>& rows) {
  std::unordered_map<std::string, std::size_t> index;
  for (const Row& row : rows) index.emplace(row.id, index.size());
  return index;
}

}  // namespace

Expected<StandingPlan> MatchPlan(const NamedPlan& plan, const Scenario& scenario) {
  StandingPlan standing;
  standing.decisions.resize(scenario.users.size());
  standing.prices.resize(scenario.servers.size());
  const auto users = IndexOf(scenario.users);
  const auto servers = IndexOf(scenario.servers);
  std::vector<int> server_now;  // Per server of the plan; -1 where it has gone.
  for (std::size_t m = 0; m < plan.servers.size(); ++m) {
    const auto found = servers.find(plan.servers[m]);
    server_now.push_back(found == servers.end() ? -1 : static_cast<int>(found->second));
    if (found == servers.end()) {
      ++standing.servers_gone;
      continue;
    }
    ++standing.servers_kept;
    if (!plan.document.prices.empty()) standing.prices[found->second] = plan.document.prices[m];
  }
  for (std::size_t n = 0; n < plan.users.size(); ++n) {
    const auto found = users.find(plan.users[n]);
    if (found == users.end()) {
      ++standing.users_gone;
      continue;
    }
    ++standing.users_kept;
    Decision decision = plan.document.plan[n];
    decision.server = server_now[static_cast<std::size_t>(decision.server)];
    if (decision.server >= 0) {
      standing.decisions[found->second] = decision;
    } else {
      ++standing.users_displaced;
    }
  }
  if (standing.users_kept == 0) {
    return Fail(ErrorKind::kBadInput,
                "assignments",
                "must have a user of the scenario: the plan and the scenario have none in common");
  }
  standing.users_new = static_cast<int>(scenario.users.size()) - standing.users_kept;
  standing.servers_new = static_cast<int>(scenario.servers.size()) - standing.servers_kept;
  return standing;
}

Expected<StandingPlan> ReadStandingPlan(const std::string& path, const Scenario& scenario) {
  const auto plan = ReadNamedPlan(path);
  if (!plan) return tl::unexpected(plan.error());
  auto standing = MatchPlan(*plan, scenario);
  if (!standing) {
    Error error = standing.error();
    error.where = path + ": " + error.where;
    return tl::unexpected(std::move(error));
  }
  return standing;
}

int Handovers(const StandingPlan& standing, const Plan& plan) {
  int count = 0;
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const std::optional<Decision>& before = standing.decisions[n];
    count += before && before->server != plan[n].server;
  }
  return count;
}

}  // namespace dashf
