#include "runtime/plan_scope.h"

#include <map>
#include <set>

#include "runtime/taking_part.h"

namespace dashf::runtime {

PlanScope ScopeOf(const fleet::State& state, const Scenario& deployment) {
  std::set<std::string> users, servers;
  Reaches reaches;
  for (const auto& [id, task] : state.round->tasks) {
    if (task.Ended()) continue;
    users.insert(id);
    // Who is at work keeps its server, also while that is away, and its place there.
    if (task.state == fleet::Task::State::kRunning) {
      servers.insert(task.server);
      reaches[id].only = task.server;
    } else {
      reaches[id].avoided = {task.failed_at.begin(), task.failed_at.end()};
    }
  }
  for (const auto& [id, server] : state.servers) {
    if (server.TakesPart()) servers.insert(id);
  }
  PlanScope scope;
  PlanRequest& request = scope.request;
  // Who reaches none of these servers has no part in the plan, and others must not suffer from it.
  request.scenario = Among(deployment, users, servers, reaches, &scope.unreachable);
  // So has nobody who has left the scenario since the log has known of it.
  for (const User& user : deployment.users) users.erase(user.id);
  scope.unreachable.insert(scope.unreachable.end(), users.begin(), users.end());
  std::map<std::string, int> place;
  for (const Server& server : request.scenario.servers) {
    place.emplace(server.id, static_cast<int>(place.size()));
  }
  for (const User& user : request.scenario.users) {
    const fleet::Task& task = state.round->tasks.at(user.id);
    auto& kept = request.kept.emplace_back();
    const auto server = place.find(task.server);
    if (task.state != fleet::Task::State::kRunning || server == place.end()) continue;
    kept = task.decision;
    kept->server = server->second;
  }
  return scope;
}

}  // namespace dashf::runtime
