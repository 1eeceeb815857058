#include "runtime/plan_scope.h"

#include <algorithm>
#include <map>
#include <set>

#include "runtime/taking_part.h"
#include "scenario/slot_matching.h"

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

// As few as can be of those who are not at work; who is keeps its slot.
std::vector<std::string> WithoutSlot(const Scenario& scenario, const fleet::Round& round) {
  Scenario open = scenario;
  open.users.clear();
  open.links.clear();
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const fleet::Task& task = round.tasks.at(scenario.users[n].id);
    if (task.state != fleet::Task::State::kRunning) {
      open.users.push_back(scenario.users[n]);
      open.links.push_back(scenario.links[n]);
      continue;
    }
    for (Server& server : open.servers) {
      if (server.id == task.server && server.slots) server.slots = std::max(0, *server.slots - 1);
    }
  }
  std::vector<std::string> without;
  const SlotMatching matching = MatchSlots(open);
  for (std::size_t n = 0; n < open.users.size(); ++n) {
    if (matching.server_of_user[n] < 0) without.push_back(open.users[n].id);
  }
  return without;
}

// Whether it still has what a user at work has been given.
bool HasPlace(const Scenario& scenario, const std::string& id, const fleet::Task& task) {
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    if (scenario.users[n].id != id) continue;
    const auto& links = scenario.links[n];
    const bool linked = std::any_of(links.begin(), links.end(), [&](const Link& link) {
      return scenario.servers[static_cast<std::size_t>(link.server)].id == task.server;
    });
    return linked && scenario.SplitAllowed(scenario.users[n], task.decision.local_layers);
  }
  return true;  // It has left the scenario, which is another matter.
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
  PlanScope scope;
  std::set<std::string> users, servers;
  Reaches reaches;
  for (const auto& [id, task] : state.round->tasks) {
    if (task.Ended()) continue;
    if (task.state == fleet::Task::State::kRunning && !HasPlace(deployment, id, task)) {
      scope.outside.push_back(id);
      continue;
    }
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
  PlanRequest& request = scope.request;
  // Who reaches none of these servers has no part in the plan, and others must not suffer from it.
  request.scenario = Among(deployment, users, servers, reaches, &scope.unreachable);
  scope.without_slot = WithoutSlot(request.scenario, *state.round);
  if (!scope.without_slot.empty()) {
    for (const std::string& id : scope.without_slot) users.erase(id);
    for (const std::string& id : scope.unreachable) users.erase(id);
    std::vector<std::string> none;
    request.scenario = Among(deployment, users, servers, reaches, &none);
    users.insert(scope.without_slot.begin(), scope.without_slot.end());
    users.insert(scope.unreachable.begin(), scope.unreachable.end());
  }
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
