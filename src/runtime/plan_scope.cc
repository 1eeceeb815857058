#include "runtime/plan_scope.h"

#include <set>

#include "runtime/taking_part.h"

namespace dashf::runtime {

Expected<PlanScope> ScopeOf(const fleet::State& state, const Scenario& deployment) {
  const auto reported = WithReports(deployment, state);
  if (!reported) return tl::unexpected(reported.error());
  std::vector<std::string> users, servers;
  std::vector<Avoided> avoided;
  for (const auto& [id, task] : state.round->tasks) {
    if (task.Ended()) continue;
    users.push_back(id);
    if (!task.failed_at.empty()) avoided.push_back({id, task.failed_at});
  }
  std::set<std::string> used;
  for (const auto& [id, task] : state.round->tasks) {
    if (task.state == fleet::Task::State::kRunning) used.insert(task.server);
  }
  for (const auto& [id, server] : state.servers) {
    const bool here = server.presence == fleet::Presence::kHere && server.refused.empty();
    if (here || used.contains(id)) servers.push_back(id);
  }
  // Who reaches none of these servers has no part in the plan, and others must not suffer from it.
  PlanScope scope;
  std::erase_if(users, [&](const std::string& id) {
    const Scenario alone = Among(*reported, {id}, servers, {});
    const bool none = alone.users.empty() || alone.links.front().empty();
    if (none) scope.unreachable.push_back(id);
    return none;
  });
  PlanRequest& request = scope.request;
  request.scenario = Among(*reported, users, servers, avoided);
  for (const User& user : request.scenario.users) {
    const fleet::Task& task = state.round->tasks.at(user.id);
    auto& kept = request.kept.emplace_back();
    if (task.state != fleet::Task::State::kRunning) continue;
    kept = task.decision;
    for (std::size_t m = 0; m < request.scenario.servers.size(); ++m) {
      if (request.scenario.servers[m].id == task.server) kept->server = static_cast<int>(m);
    }
  }
  return scope;
}

}  // namespace dashf::runtime
