#include "runtime/learnt_factors.h"

namespace dashf::runtime {
namespace {

const NodeFactors* Find(const std::map<std::string, fleet::Member>& members,
                        const std::string& id) {
  const auto found = members.find(id);
  return found != members.end() && found->second.factors.Any() ? &found->second.factors : nullptr;
}

// A profile of the user's own.
void ScaleLinks(const NodeFactors& factors, User* user, Scenario* scenario) {
  if (factors.upload.phases + factors.download.phases == 0) return;
  SplitProfile own = scenario->ProfileOf(*user);
  for (double& bit : own.upload_bit) bit *= factors.upload.Mean();
  for (double& bit : own.download_bit) bit *= factors.download.Mean();
  own.name += ", over the link of " + user->id;
  user->profile = static_cast<int>(scenario->profiles.size());
  scenario->profiles.push_back(std::move(own));
}

}  // namespace

PhaseFactors LearntFactors::For(const std::string& user, const std::string& server) const {
  PhaseFactors phases;
  if (const auto found = users.find(user); found != users.end()) {
    phases.local = found->second.compute.Mean();
    phases.upload = found->second.upload.Mean();
    phases.download = found->second.download.Mean();
  }
  if (const auto found = servers.find(server); found != servers.end()) {
    phases.server = found->second.compute.Mean();
  }
  return phases;
}

LearntFactors TakeFactors(const fleet::State& state, Scenario* scenario) {
  LearntFactors learnt;
  for (User& user : scenario->users) {
    const NodeFactors* factors = Find(state.users, user.id);
    if (factors == nullptr) continue;
    learnt.users.emplace(user.id, *factors);
    user.compute.flop_per_cycle /= factors->compute.Mean();
    ScaleLinks(*factors, &user, scenario);
  }
  for (Server& server : scenario->servers) {
    const NodeFactors* factors = Find(state.servers, server.id);
    if (factors == nullptr) continue;
    learnt.servers.emplace(server.id, *factors);
    server.compute.flop_per_cycle /= factors->compute.Mean();
  }
  return learnt;
}

}  // namespace dashf::runtime
