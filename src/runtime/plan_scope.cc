#include "runtime/plan_scope.h"

#include <map>
#include <set>

#include "runtime/taking_part.h"

namespace dashf::runtime {

namespace {

void SendAllLayers(const std::map<std::string, fleet::Member>& members, Scenario* scenario) {
  std::map<int, int> with_all;  // By profile.
  for (User& user : scenario->users) {
    const auto member = members.find(user.id);
    if (member == members.end() || member->second.rounds_done == 0) continue;
    const auto [at, is_new] =
        with_all.emplace(user.profile, static_cast<int>(scenario->profiles.size()));
    if (is_new) {
      scenario->profiles.push_back(WithAllLayersUp(scenario->ProfileOf(user)));
    }
    user.profile = at->second;
  }
}

}  // namespace

SplitProfile WithAllLayersUp(SplitProfile profile) {
  const double all_bit = profile.upload_bit[0] + profile.download_bit[0];
  // None where the user trains all layers and needs no server.
  for (double& bit : profile.upload_bit) bit = bit > 0.0 ? all_bit : 0.0;
  profile.name += ", all layers up";
  return profile;
}

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
  SendAllLayers(state.users, &request.scenario);
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
