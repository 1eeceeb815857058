#include "fleet/server_agent.h"

#include <utility>

namespace dashf::fleet {

const SpoolEntry* ServerAgent::Find(const std::string& user,
                                    std::uint32_t round,
                                    int attempt) const {
  const auto found = spool_.find(user);
  const bool same =
      found != spool_.end() && found->second.round == round && found->second.attempt == attempt;
  return same ? &found->second : nullptr;
}

std::vector<ServerEffect> ServerAgent::Forget(const std::string& user) {
  std::vector<ServerEffect> effects;
  if (training_.erase(user) > 0) effects.push_back(CancelTraining{user});
  spool_.erase(user);
  effects.push_back(SaveEntry{user});
  return effects;
}

std::vector<ServerEffect> ServerAgent::OnOrders(const ServerOrders& orders) {
  std::vector<ServerEffect> effects;
  const auto add = [&effects](std::vector<ServerEffect> more) {
    effects.insert(effects.end(), more.begin(), more.end());
  };
  std::set<std::string> wanted;
  for (const ServerOrders::Work& work : orders.work) {
    wanted.insert(work.user);
    if (Find(work.user, work.round, work.attempt) == nullptr) {
      if (spool_.contains(work.user)) add(Forget(work.user));
      spool_[work.user] = {work.round, work.attempt, work.decision, {}, {}, false};
      effects.push_back(SaveEntry{work.user});
    }
    SpoolEntry& entry = spool_[work.user];
    entry.decision = work.decision;
    if (entry.stage == SpoolEntry::Stage::kExpected && work.uploaded) {
      entry.stage = SpoolEntry::Stage::kFailed;
      entry.outcome.failure = "the upload is not here any more";
      effects.push_back(SaveEntry{work.user});
    }
    if (entry.stage == SpoolEntry::Stage::kUploaded && training_.insert(work.user).second) {
      effects.push_back(Train{work.user});
    }
    if (entry.stage > SpoolEntry::Stage::kUploaded && !entry.reported) {
      effects.push_back(ReportTraining{work.user});
    }
  }
  std::vector<std::string> others;
  for (const auto& [user, entry] : spool_) {
    if (!wanted.contains(user)) others.push_back(user);
  }
  for (const std::string& user : others) add(Forget(user));
  return effects;
}

std::vector<ServerEffect> ServerAgent::OnUploaded(const std::string& user) {
  const auto found = spool_.find(user);
  if (found == spool_.end() || found->second.stage != SpoolEntry::Stage::kExpected) return {};
  found->second.stage = SpoolEntry::Stage::kUploaded;
  training_.insert(user);
  return {SaveEntry{user}, Train{user}};
}

std::vector<ServerEffect> ServerAgent::OnOutcome(const std::string& user,
                                                 std::uint32_t round,
                                                 int attempt,
                                                 const Outcome& outcome) {
  if (Find(user, round, attempt) == nullptr || training_.erase(user) == 0) return {};
  SpoolEntry& entry = spool_[user];
  entry.stage = outcome.failure.empty() ? SpoolEntry::Stage::kTrained : SpoolEntry::Stage::kFailed;
  entry.outcome = outcome;
  return {SaveEntry{user}, ReportTraining{user}};
}

std::vector<ServerEffect> ServerAgent::OnReported(const std::string& user,
                                                  std::uint32_t round,
                                                  int attempt,
                                                  Verdict verdict) {
  if (Find(user, round, attempt) == nullptr || !Settled(verdict)) return {};
  spool_[user].reported = true;
  return {SaveEntry{user}};
}

PhaseFinished ServerAgent::ReportOf(const std::string& user) const {
  const SpoolEntry& entry = spool_.at(user);
  return {.reporter = {},
          .incarnation = 0,
          .round = entry.round,
          .attempt = entry.attempt,
          .user = user,
          .phase = Phase::kServer,
          .failure = entry.outcome.failure,
          .measured = entry.outcome.measured,
          .before = {},
          .after = {}};
}

}  // namespace dashf::fleet
