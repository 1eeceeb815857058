#include "fleet/user_agent.h"

#include <fmt/format.h>

#include <tuple>

namespace dashf::fleet {

bool Settled(Verdict verdict) {
  return verdict == Verdict::kAccepted || verdict == Verdict::kDuplicate ||
         verdict == Verdict::kStale || verdict == Verdict::kUnknown;
}

PhaseFinished UserAgent::ReportOf(Phase phase, const Outcome& outcome) const {
  return {.reporter = CoordinatorNode(),  // Nobody yet.
          .incarnation = 0,
          .round = memory_.round,
          .attempt = memory_.attempt,
          .user = "",
          .phase = phase,
          .failure = outcome.failure,
          .measured = outcome.measured,
          .before = outcome.before,
          .after = outcome.after};
}

// A phase is on disk before it is reported, so only a lost disk is behind the coordinator; its
// server takes no second upload of an attempt, and may have forgotten it.
bool UserAgent::Lost(const UserOrders& orders) const {
  if (memory_.decision.local_layers == layers_) return false;
  return (orders.phase > Phase::kUpload && memory_.phase <= Phase::kUpload) ||
         (orders.phase == Phase::kVerify && memory_.phase < Phase::kVerify);
}

// Orders follow from a log that is on disk before them: only one that has lost its end can want
// what is over. Nothing is done twice; rounds fail for this user until the coordinator has caught
// up.
std::vector<UserEffect> UserAgent::Decline(const UserOrders& orders) {
  for (const PhaseFinished& report : memory_.unreported) {
    if (report.round == orders.round && report.attempt == orders.attempt) return {};
  }
  PhaseFinished report = ReportOf(
      orders.phase,
      {fmt::format("this user was at round {} already: the coordinator's log has lost its end",
                   memory_.round),
       {},
       {},
       {}});
  report.round = orders.round;
  report.attempt = orders.attempt;
  memory_.unreported.push_back(std::move(report));
  return {Save{}, Report{}};
}

std::vector<UserEffect> UserAgent::OnOrders(const UserOrders& orders) {
  std::vector<UserEffect> effects;
  if (orders.kind != UserOrders::Kind::kWork) {
    if (busy_) effects.push_back(Cancel{});
    busy_ = false;
    return effects;
  }
  const auto mine = std::tie(memory_.round, memory_.attempt);
  const auto ordered = std::tie(orders.round, orders.attempt);
  if (ordered < mine) return Decline(orders);
  if (ordered > mine) {
    if (busy_) effects.push_back(Cancel{});
    busy_ = false;
    if (orders.round != memory_.round) {
      memory_.trained_layers = 0;
      memory_.finished.reset();
      effects.push_back(NewRound{});
    }
    memory_.round = orders.round;
    memory_.attempt = orders.attempt;
    memory_.server = orders.server;
    memory_.decision = orders.decision;
    memory_.working = true;
    memory_.phase = FirstPhase(orders.decision.local_layers, memory_.trained_layers, layers_);
    memory_.unreported.clear();
    // It was done before the coordinator, not knowing it, gave it another attempt.
    if (memory_.finished) {
      memory_.working = false;
      memory_.unreported.push_back(ReportOf(Phase::kVerify, *memory_.finished));
      effects.insert(effects.end(), {Save{}, Report{}});
      return effects;
    }
    // The coordinator may not have heard of the training that this attempt goes on from.
    if (memory_.phase != Phase::kLocal && orders.decision.local_layers > 0) {
      memory_.unreported.push_back(ReportOf(
          Phase::kLocal, {.failure = "", .measured = memory_.local, .before = {}, .after = {}}));
    }
    effects.push_back(Save{});
    if (!memory_.unreported.empty()) effects.push_back(Report{});
  }
  // It is done, and a coordinator that has lost the end of its log does not know.
  if (ordered == mine && !memory_.working && memory_.finished && memory_.unreported.empty()) {
    memory_.unreported.push_back(ReportOf(Phase::kVerify, *memory_.finished));
    return {Save{}, Report{}};
  }
  if (memory_.working && Lost(orders)) {
    busy_ = false;
    memory_.working = false;
    memory_.unreported.push_back(
        ReportOf(Phase::kDownload, {"the user's disk has lost what it had", {}, {}, {}}));
    effects.insert(effects.end(), {Save{}, Report{}});
    return effects;
  }
  if (memory_.working && !busy_) {
    busy_ = true;
    effects.push_back(Begin{memory_.phase});
  }
  return effects;
}

std::vector<UserEffect> UserAgent::OnOutcome(const Outcome& outcome) {
  if (!busy_) return {};  // It was cancelled.
  busy_ = false;
  const Phase phase = memory_.phase;
  memory_.unreported.push_back(ReportOf(phase, outcome));
  if (!outcome.failure.empty() || phase == Phase::kVerify) {
    memory_.working = false;
    if (outcome.failure.empty()) memory_.finished = outcome;
    return {Save{}, Report{}};
  }
  if (phase == Phase::kLocal) {
    memory_.trained_layers = memory_.decision.local_layers;
    memory_.local = outcome.measured;
  }
  if (phase == Phase::kLocal) {
    memory_.phase = memory_.decision.local_layers == layers_ ? Phase::kVerify : Phase::kUpload;
  } else {
    memory_.phase = phase == Phase::kUpload ? Phase::kDownload : Phase::kVerify;
  }
  busy_ = true;
  return {Save{}, Report{}, Begin{memory_.phase}};
}

std::vector<UserEffect> UserAgent::OnReported(Verdict verdict) {
  if (memory_.unreported.empty() || !Settled(verdict)) return {};
  memory_.unreported.pop_front();
  std::vector<UserEffect> effects = {Save{}};
  if (!memory_.unreported.empty()) effects.push_back(Report{});
  return effects;
}

}  // namespace dashf::fleet
