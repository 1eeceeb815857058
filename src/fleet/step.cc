#include "fleet/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "fleet/tasks.h"

namespace dashf::fleet {
namespace {

using Stage = Round::Stage;
using TaskState = Task::State;

constexpr char kNotInScenario[] = "is not in the scenario";

// Everybody who is waited for is here.
bool AllHere(const std::map<std::string, Member>& members) {
  return std::all_of(members.begin(), members.end(), [](const auto& entry) {
    const Member& member = entry.second;
    return member.presence == Presence::kHere || member.presence == Presence::kGone ||
           !member.refused.empty() || member.drained;
  });
}

bool HasQuorum(const State& state) {
  return CountTakingPart(state.users) >= std::max<std::size_t>(state.policy.users_min, 1) &&
         CountTakingPart(state.servers) >= std::max<std::size_t>(state.policy.servers_min, 1);
}

std::string WhyAbsent(const Member& member) {
  if (!member.refused.empty()) return member.refused;
  return member.drained ? "drained by an operator" : std::string(Name(member.presence));
}

// "by operator/ada", where somebody stands behind it.
std::string By(const std::string& by) {
  return by.empty() ? "" : " by " + by;
}

double Seconds(const PhaseSeconds& predicted) {
  return predicted.local.value_or(0.0) + predicted.upload.value_or(0.0) +
         predicted.server.value_or(0.0) + predicted.download.value_or(0.0);
}

double MeasuredSeconds(const Task& task) {
  double sum = 0.0;
  for (const auto& [phase, measured] : task.measured) {
    if (phase != Key(Phase::kVerify)) sum += measured.elapsed_s.value_or(0.0);
  }
  return sum;
}

RoundSummary SummaryOf(const Round& round) {
  RoundSummary summary;
  summary.number = round.number;
  summary.began = round.began;
  summary.ended = round.ended;
  summary.absent = static_cast<std::uint32_t>(round.absent.size());
  for (const auto& [id, task] : round.tasks) {
    if (task.state != TaskState::kDone) {
      ++summary.failed;
      continue;
    }
    ++summary.done;
    summary.predicted_s = std::max(summary.predicted_s.value_or(0.0), Seconds(task.predicted_s));
    summary.measured_s = std::max(summary.measured_s.value_or(0.0), MeasuredSeconds(task));
  }
  return summary;
}

// One event's effects on the state.
class Stepper {
 public:
  Stepper(State& state, Millis at) : state_(state), at_(at) {}

  StepResult operator()(const Configured& event) {
    state_.policy = event.policy;
    state_.layers = event.layers;
    if (!event.fleet.empty()) state_.fleet = event.fleet;
    TakeMembers(event.users, Role::kUser, &state_.users);
    TakeMembers(event.servers, Role::kServer, &state_.servers);
    // What was begun as it was is not to be mixed with what would go on otherwise.
    if (Running() && state_.settings != event.settings) {
      EndTasks("the training settings were changed in the midst of the round");
    }
    state_.settings = event.settings;
    if (state_.round) {
      for (auto& [id, task] : state_.round->tasks) {
        if (task.due > 0) task.due = at_ + (task.due - task.since);
      }
    }
    // Over by its count alone, and now there are to be more.
    const std::uint32_t rounds_max = event.policy.rounds_max;
    if (state_.over_by.empty() && state_.over_reason.empty() &&
        (rounds_max == 0 || state_.rounds_begun < rounds_max)) {
      state_.over = false;
    }
    Proceed();
    return Done();
  }

  StepResult operator()(const Joined& event) {
    Member* member = state_.Find(event.node);
    if (member == nullptr) return {Verdict::kUnknown, {}};
    if (member->presence == Presence::kHere) {
      const bool same = member->incarnation == event.incarnation;
      return {same ? Verdict::kDuplicate : Verdict::kOtherAlive, {}};
    }
    member->presence = Presence::kHere;
    member->incarnation = event.incarnation;
    member->since = at_;
    if (!event.report.empty() && event.report != member->report) {
      member->report = event.report;
      member->factors.compute = {};  // It may be another device, or measured anew.
    }
    if (!member->excluded) member->refused.clear();
    Welcome(event.node, *member);
    Proceed();
    return Done();
  }

  StepResult operator()(const TurnedAway& event) {
    Member* member = state_.Find(event.node);
    if (member == nullptr) return {Verdict::kUnknown, {}};
    if (member->excluded || member->refused == event.reason ||
        member->presence == Presence::kHere) {
      return {Verdict::kDuplicate, {}};
    }
    member->refused = event.reason;
    Proceed();
    return Done();
  }

  StepResult operator()(const WentAway& event) {
    Member* member = state_.Find(event.node);
    if (member == nullptr) return {Verdict::kUnknown, {}};
    if (member->presence != Presence::kHere || member->incarnation != event.incarnation) {
      return {Verdict::kStale, {}};
    }
    member->presence = Presence::kAway;
    member->since = at_;
    return Done();
  }

  StepResult operator()(const Excluded& event) {
    Member* member = state_.Find(event.node);
    if (member == nullptr) return {Verdict::kUnknown, {}};
    const std::string reason = event.reason.empty() ? "no reason given" : event.reason;
    const std::string refused = fmt::format("excluded{}: {}", By(event.by), reason);
    if (member->excluded && member->refused == refused) return {Verdict::kDuplicate, {}};
    member->refused = refused;
    member->excluded = true;
    tasks_.LoseNode(event.node, fmt::format("was excluded{} ({})", By(event.by), reason));
    Proceed();
    return Done();
  }

  StepResult operator()(const Drained& event) {
    Member* member = state_.Find(event.node);
    if (member == nullptr) return {Verdict::kUnknown, {}};
    if (member->excluded || member->drained) return {Verdict::kDuplicate, {}};
    member->drained = true;
    Proceed();
    return Done();
  }

  StepResult operator()(const Admitted& event) {
    Member* member = state_.Find(event.node);
    if (member == nullptr) return {Verdict::kUnknown, {}};
    if (member->refused.empty() && !member->drained) return {Verdict::kDuplicate, {}};
    member->refused.clear();
    member->excluded = member->drained = false;
    Welcome(event.node, *member);
    Proceed();
    return Done();
  }

  StepResult operator()(const RoundRequested&) {
    if (state_.over) return {Verdict::kStale, {}};
    if (state_.round && state_.round->stage == Stage::kGathering && HasQuorum(state_)) {
      Begin();
      return Done();
    }
    if (state_.requested) return {Verdict::kDuplicate, {}};
    state_.requested = true;
    Proceed();
    return Done();
  }

  StepResult operator()(const PlanMade& event) {
    if (!IsAwaited(event.round, event.plan)) return {Verdict::kStale, {}};
    Round& round = *state_.round;
    round.planning = false;
    Enter(Stage::kRunning);
    for (const Assignment& assignment : event.assignments) tasks_.Assign(assignment);
    if (!round.planning && (round.plan_wanted || tasks_.AnyUnplanned())) tasks_.WantPlan();
    Proceed();
    return Done();
  }

  StepResult operator()(const PlanFailed& event) {
    if (!IsAwaited(event.round, event.plan)) return {Verdict::kStale, {}};
    Round& round = *state_.round;
    round.planning = false;
    Enter(Stage::kRunning);
    for (auto& [id, task] : round.tasks) {
      if (task.state != TaskState::kPending) continue;
      tasks_.Fail(task, "no plan: " + event.reason + Tasks::BecauseOf(task));
    }
    Proceed();
    return Done();
  }

  StepResult operator()(const PhaseFinished& event) {
    if (!state_.round || event.round != state_.round->number) return {Verdict::kStale, {}};
    const Verdict verdict = tasks_.Report(event);
    if (verdict != Verdict::kAccepted) return {verdict, {}};
    if (!tasks_.any_ended()) return Done();  // Nothing follows, and rounds may be large.
    if (state_.round->tasks.at(event.user).state == TaskState::kDone) {
      if (Member* user = state_.Find(UserNode(event.user))) ++user->rounds_done;
    }
    Proceed();
    return Done();
  }

  StepResult operator()(const TimePassed&) {
    for (auto* members : {&state_.users, &state_.servers}) {
      const Role role = members == &state_.users ? Role::kUser : Role::kServer;
      for (auto& [id, member] : *members) {
        if (member.presence != Presence::kAway || at_ < GoneAt(state_, member)) continue;
        member.presence = Presence::kGone;
        member.since = at_;
        const std::string because = member.refused.empty() ? "" : " (" + member.refused + ")";
        tasks_.LoseNode({role, id}, (role == Role::kUser ? "lost" : "was lost") + because);
      }
    }
    if (Running()) {
      for (auto& [id, task] : state_.round->tasks) {
        if (!task.Ended() && task.due > 0 && at_ >= task.due) tasks_.Overdue(task);
      }
    }
    Proceed();
    return Done();
  }

  StepResult operator()(const Stopped& event) {
    if (state_.over && !event.at_once) return {Verdict::kDuplicate, {}};
    state_.over_reason = event.reason;
    state_.over_by = event.by;
    state_.over = true;
    if (event.at_once && state_.round && state_.round->stage != Stage::kEnded) {
      EndGathering();
      Enter(Stage::kRunning);
      EndTasks(event.reason);
    }
    Proceed();
    return Done();
  }

  static Millis GoneAt(const State& state, const Member& member) {
    return member.since + InMillis(state.policy.grace_s);
  }

 private:
  // A coordinator that starts knows who was here, not who is: where no round depends on them, they
  // show that they are. Whoever the scenario has no more has no part any more.
  void TakeMembers(const std::vector<std::string>& ids,
                   Role role,
                   std::map<std::string, Member>* members) {
    for (const std::string& id : ids) (*members)[id];
    const std::set<std::string> listed(ids.begin(), ids.end());
    const bool planned = state_.round && (state_.round->stage == Stage::kPlanning || Running());
    for (auto& [id, member] : *members) {
      if (!planned && member.presence == Presence::kHere) member.presence = Presence::kAway;
      // While no coordinator ran, nobody could be heard.
      if (member.presence == Presence::kAway) member.since = at_;
      if (listed.contains(id)) {
        if (member.refused == kNotInScenario) member.refused.clear();
      } else if (member.refused != kNotInScenario) {
        member.refused = kNotInScenario;
        member.excluded = member.drained = false;
        tasks_.LoseNode({role, id}, "has left the scenario");
      }
    }
  }
  StepResult Done() { return {Verdict::kAccepted, std::move(effects_)}; }
  // Of those who are not done.
  void EndTasks(const std::string& reason) {
    state_.round->planning = false;
    for (auto& [id, task] : state_.round->tasks) tasks_.Fail(task, reason);
  }
  bool Running() const { return state_.round && state_.round->stage == Stage::kRunning; }
  bool IsAwaited(std::uint32_t round, std::uint32_t plan) const {
    return state_.round && state_.round->number == round && state_.round->plan == plan &&
           state_.round->planning;
  }
  void Enter(Stage stage) {
    if (state_.round->stage == stage) return;
    state_.round->stage = stage;
    state_.round->since = at_;
  }
  // A node that may take part in the round that runs.
  void Welcome(const NodeId& node, const Member& member) {
    if (!Running() || !member.TakesPart()) return;
    if (node.role == Role::kUser) tasks_.TakeIn(node.id);
    if (node.role == Role::kServer && tasks_.AnyPending()) tasks_.WantPlan();
  }
  // What follows by itself: rounds begin, gather, end.
  void Proceed() {
    if (state_.round && state_.round->stage == Stage::kGathering) Gather();
    if (Running() && tasks_.any_ended() && tasks_.AnyWaitsForSlot()) tasks_.WantPlan();
    if (Running()) EndIfComplete();
    if (!state_.round || state_.round->stage == Stage::kEnded) BeginIfDue();
  }

  void BeginIfDue() {
    const Policy& policy = state_.policy;
    if (policy.rounds_max > 0 && state_.rounds_begun >= policy.rounds_max) state_.over = true;
    if (state_.over) return;
    const bool due = !policy.on_request && at_ >= state_.next_round_at;
    if (!due && !state_.requested) return;
    state_.requested = false;
    if (state_.round) state_.last = std::move(state_.round);
    state_.round = Round{};
    state_.round->number = ++state_.rounds_begun;
    state_.round->began = state_.round->since = at_;
    state_.next_round_at = at_ + InMillis(policy.interval_s);
    Gather();
  }

  void Gather() {
    Round& round = *state_.round;
    const Policy& policy = state_.policy;
    const bool gives_up = policy.give_up_s > 0.0 && at_ >= round.began + InMillis(policy.give_up_s);
    const bool waited = gives_up || at_ >= round.began + InMillis(policy.gather_s);
    const bool complete = AllHere(state_.servers) && AllHere(state_.users);
    if ((complete || waited) && HasQuorum(state_)) return Begin();
    if (!gives_up) return;
    const std::string failure = "the round did not start: " + Missing();
    EndGathering();
    for (auto& [id, task] : round.tasks) tasks_.Fail(task, failure);
    EndIfComplete();
  }

  // With those who are here.
  void Begin() {
    EndGathering();
    tasks_.WantPlan();
    Enter(Stage::kPlanning);
  }

  std::string Missing() const {
    return fmt::format("{} of at least {} users and {} of at least {} servers were here",
                       CountTakingPart(state_.users),
                       state_.policy.users_min,
                       CountTakingPart(state_.servers),
                       state_.policy.servers_min);
  }

  void EndGathering() {
    Round& round = *state_.round;
    if (round.stage != Stage::kGathering) return;
    Enter(Stage::kRunning);
    for (const auto& [id, member] : state_.users) {
      if (member.TakesPart()) {
        round.tasks[id].since = at_;
      } else {
        round.absent[id] = WhyAbsent(member);
      }
    }
  }

  void EndIfComplete() {
    Round& round = *state_.round;
    const bool ended = std::all_of(round.tasks.begin(), round.tasks.end(), [](const auto& entry) {
      return entry.second.Ended();
    });
    if (!ended || round.stage == Stage::kEnded) return;
    Enter(Stage::kEnded);
    round.planning = false;
    round.ended = at_;
    state_.history.push_back(SummaryOf(round));
    if (state_.history.size() > kHistoryMax) state_.history.erase(state_.history.begin());
    // What failed for everybody may fail again at once.
    const bool in_vain =
        std::none_of(round.tasks.begin(), round.tasks.end(), [](const auto& entry) {
          return entry.second.state == TaskState::kDone;
        });
    if (in_vain) {
      state_.next_round_at = std::max(state_.next_round_at, at_ + InMillis(state_.policy.grace_s));
    }
    effects_.push_back(RoundEnded{std::make_shared<Round>(round)});
  }

  State& state_;
  const Millis at_;
  std::vector<Effect> effects_;
  Tasks tasks_{state_, at_, effects_};
};

}  // namespace

std::string_view Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted:
      return "accepted";
    case Verdict::kDuplicate:
      return "duplicate";
    case Verdict::kStale:
      return "stale: that round, or that attempt of the user's part in it, is over";
    case Verdict::kOutOfOrder:
      return "out of order: the user is not in that phase yet";
    case Verdict::kWrongReporter:
      return "that phase is another node's to report";
    case Verdict::kUnknown:
      return "not of this fleet";
    case Verdict::kOtherAlive:
      return "another process speaks for this node";
  }
  return "";
}

StepResult Step(State& state, Millis at, const Event& event) {
  return std::visit(Stepper(state, at), event);
}

std::optional<Millis> NextDue(const State& state) {
  std::optional<Millis> next;
  const auto consider = [&next](Millis at) { next = std::min(next.value_or(at), at); };
  for (const auto* members : {&state.users, &state.servers}) {
    for (const auto& [id, member] : *members) {
      if (member.presence == Presence::kAway) consider(Stepper::GoneAt(state, member));
    }
  }
  const bool idle = !state.round || state.round->stage == Stage::kEnded;
  if (idle && !state.over && !state.policy.on_request) consider(state.next_round_at);
  if (state.round && state.round->stage == Stage::kGathering) {
    const Policy& policy = state.policy;
    if (HasQuorum(state)) consider(state.round->began + InMillis(policy.gather_s));
    if (policy.give_up_s > 0.0) consider(state.round->began + InMillis(policy.give_up_s));
  }
  if (state.round && state.round->stage == Stage::kRunning) {
    for (const auto& [id, task] : state.round->tasks) {
      if (!task.Ended() && task.due > 0) consider(task.due);
    }
  }
  return next;
}

std::vector<Effect> Owed(const State& state) {
  std::vector<Effect> owed;
  if (state.last) owed.push_back(RoundEnded{std::make_shared<Round>(*state.last)});
  if (!state.round) return owed;
  if (state.round->stage == Stage::kEnded)
    owed.push_back(RoundEnded{std::make_shared<Round>(*state.round)});
  if (state.round->planning) owed.push_back(MakePlan{state.round->number, state.round->plan});
  return owed;
}

}  // namespace dashf::fleet
