#include "runtime/coordinator_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace dashf::runtime {
namespace {

using Stage = CoordinatorState::Stage;
using UserState = UserProgress::State;

bool IsTerminal(const UserProgress& user) {
  return user.state == UserState::kDone || user.state == UserState::kFailed;
}

Phase FirstPhase(int local_layers) {
  return local_layers > 0 ? Phase::kLocal : Phase::kUpload;
}

Phase PhaseAfter(Phase phase, int local_layers, int layers) {
  if (phase == Phase::kLocal && local_layers == layers) return Phase::kVerify;
  return static_cast<Phase>(static_cast<int>(phase) + 1);
}

// One event's effects on the state, collected as actions.
class Stepper {
 public:
  explicit Stepper(CoordinatorState& state) : state_(state) {}

  StepResult operator()(const NodeRegistered& event) {
    NodeState* node = Find(event.node);
    if (node == nullptr) return {Verdict::kUnknown, {}};
    if (*node == NodeState::kRegistered) return {Verdict::kDuplicate, {}};
    if (*node == NodeState::kLost || state_.stage != Stage::kRegistering) {
      return {Verdict::kStale, {}};
    }
    *node = NodeState::kRegistered;
    return PlanIfComplete();
  }

  StepResult operator()(const RegistrationClosed&) {
    if (state_.stage != Stage::kRegistering) return {Verdict::kStale, {}};
    return EndEarly("the round did not start: not every node registered in time");
  }

  StepResult operator()(const PlanMade& event) {
    if (state_.stage != Stage::kPlanning) return {Verdict::kStale, {}};
    if (!Fits(event)) return {Verdict::kUnknown, {}};
    state_.stage = Stage::kRunning;
    for (const UserPlan& plan : event.users) {
      UserProgress& user = state_.users.at(plan.user);
      user.server = plan.server;
      user.local_layers = plan.local_layers;
      if (IsTerminal(user)) continue;
      user.state = UserState::kRunning;
      user.phase = FirstPhase(plan.local_layers);
      const bool needs_server = plan.local_layers < state_.layers;
      if (needs_server && state_.servers.at(plan.server) == NodeState::kLost) {
        FailUser(plan.user, fmt::format("server {} was lost before the round began", plan.server));
        continue;
      }
      if (needs_server) actions_.push_back(ExpectUser{plan.server, plan.user});
      actions_.push_back(StartUser{plan.user});
    }
    return EndIfComplete();
  }

  StepResult operator()(const PlanFailed& event) {
    if (state_.stage != Stage::kPlanning) return {Verdict::kStale, {}};
    return EndEarly("no plan: " + event.reason);
  }

  StepResult operator()(const PhaseFinished& event) {
    if (event.round != state_.round) return {Verdict::kStale, {}};
    const auto found = state_.users.find(event.user);
    if (found == state_.users.end()) return {Verdict::kUnknown, {}};
    UserProgress& user = found->second;
    if (state_.stage == Stage::kRegistering || state_.stage == Stage::kPlanning) {
      return {Verdict::kOutOfOrder, {}};
    }
    const NodeId owner =
        event.phase == Phase::kServer ? ServerNode(user.server) : UserNode(event.user);
    if (event.reporter != owner) return {Verdict::kWrongReporter, {}};
    if (user.state == UserState::kFailed) return {Verdict::kStale, {}};
    if (user.state == UserState::kDone || event.phase < user.phase) {
      return {event.failure.empty() ? Verdict::kDuplicate : Verdict::kStale, {}};
    }
    const bool overtakes = event.phase == Phase::kServer && user.phase == Phase::kUpload;
    if (event.phase > user.phase && !overtakes) return {Verdict::kOutOfOrder, {}};
    if (overtakes && user.served) return {Verdict::kDuplicate, {}};
    if (!event.failure.empty()) {
      FailUser(event.user, fmt::format("{} failed: {}", Name(event.phase), event.failure));
    } else if (overtakes) {
      user.served = true;
    } else {
      Advance(event.user, user);
      if (user.phase == Phase::kServer && user.served) Advance(event.user, user);
    }
    return EndIfComplete();
  }

  StepResult operator()(const NodeLost& event) {
    NodeState* node = Find(event.node);
    if (node == nullptr) return {Verdict::kUnknown, {}};
    if (*node == NodeState::kLost) return {Verdict::kDuplicate, {}};
    if (state_.stage == Stage::kEnded) return {Verdict::kStale, {}};
    *node = NodeState::kLost;
    // There is no plan yet that could do without it.
    if (state_.stage == Stage::kRegistering) {
      return EndEarly(fmt::format("the round did not start: {} was lost", Name(event.node)));
    }
    if (event.node.role == Role::kUser) {
      const UserProgress& user = state_.users.at(event.node.id);
      if (IsTerminal(user)) return {Verdict::kAccepted, {}};
      FailUser(event.node.id,
               user.state == UserState::kRunning ? fmt::format("lost during {}", Name(user.phase))
                                                 : "lost before the round began");
    } else {
      FailUsersOf(event.node.id);
    }
    return EndIfComplete();
  }

  StepResult operator()(const RoundStopped& event) {
    if (state_.stage == Stage::kEnded) return {Verdict::kStale, {}};
    return EndEarly(event.reason);
  }

 private:
  NodeState* Find(const NodeId& node) {
    if (node.role == Role::kUser) {
      const auto found = state_.users.find(node.id);
      return found == state_.users.end() ? nullptr : &found->second.node;
    }
    const auto found = state_.servers.find(node.id);
    const bool known = node.role == Role::kServer && found != state_.servers.end();
    return known ? &found->second : nullptr;
  }

  bool Fits(const PlanMade& event) const {
    std::set<std::string> seen;
    const bool sound = std::all_of(event.users.begin(), event.users.end(), [&](const auto& plan) {
      return state_.users.contains(plan.user) && state_.servers.contains(plan.server) &&
             plan.local_layers >= 0 && plan.local_layers <= state_.layers &&
             seen.insert(plan.user).second;
    });
    return sound && seen.size() == state_.users.size();
  }

  void Advance(const std::string& id, UserProgress& user) {
    if (user.phase == Phase::kVerify) {
      user.state = UserState::kDone;
      Drop(user, id, "");
      actions_.push_back(UserEnded{id, ""});
      return;
    }
    user.phase = PhaseAfter(user.phase, user.local_layers, state_.layers);
    if (user.phase == Phase::kDownload) actions_.push_back(CollectResult{id});
  }

  void FailUser(const std::string& id, const std::string& failure) {
    UserProgress& user = state_.users.at(id);
    if (user.state == UserState::kRunning) Drop(user, id, failure);
    user.state = UserState::kFailed;
    user.failure = failure;
    actions_.push_back(UserEnded{id, failure});
  }

  void Drop(const UserProgress& user, const std::string& id, const std::string& reason) {
    if (user.local_layers == state_.layers) return;
    actions_.push_back(DropUser{user.server, id, reason});
  }

  // A lost server takes those of its users with it that still need it.
  void FailUsersOf(const std::string& server) {
    for (const auto& [id, user] : state_.users) {
      if (user.state != UserState::kRunning || user.server != server) continue;
      if (user.local_layers == state_.layers || user.phase == Phase::kVerify) continue;
      FailUser(id, fmt::format("server {} was lost during {}", server, Name(user.phase)));
    }
  }

  StepResult PlanIfComplete() {
    const auto registered = [](NodeState node) { return node == NodeState::kRegistered; };
    const bool complete =
        std::all_of(state_.users.begin(),
                    state_.users.end(),
                    [&](const auto& entry) { return registered(entry.second.node); }) &&
        std::all_of(state_.servers.begin(), state_.servers.end(), [&](const auto& entry) {
          return registered(entry.second);
        });
    if (complete) {
      state_.stage = Stage::kPlanning;
      actions_.push_back(MakePlan{});
    }
    return {Verdict::kAccepted, std::move(actions_)};
  }

  StepResult EndEarly(const std::string& reason) {
    for (auto& [id, user] : state_.users) {
      if (IsTerminal(user)) continue;
      FailUser(id, user.node == NodeState::kExpected ? "never registered" : reason);
    }
    return EndIfComplete();
  }

  StepResult EndIfComplete() {
    const bool ended = std::all_of(state_.users.begin(), state_.users.end(), [](const auto& entry) {
      return IsTerminal(entry.second);
    });
    if (ended && state_.stage != Stage::kEnded) {
      state_.stage = Stage::kEnded;
      actions_.push_back(RoundEnded{state_.AllDone()});
    }
    return {Verdict::kAccepted, std::move(actions_)};
  }

  CoordinatorState& state_;
  std::vector<Action> actions_;
};

}  // namespace

std::string_view Name(Phase phase) {
  switch (phase) {
    case Phase::kLocal:
      return "local training";
    case Phase::kUpload:
      return "upload";
    case Phase::kServer:
      return "server training";
    case Phase::kDownload:
      return "download";
    case Phase::kVerify:
      return "verification";
  }
  return "";
}

std::string_view Key(Phase phase) {
  switch (phase) {
    case Phase::kLocal:
      return "local";
    case Phase::kUpload:
      return "upload";
    case Phase::kServer:
      return "server";
    case Phase::kDownload:
      return "download";
    case Phase::kVerify:
      return "verify";
  }
  return "";
}

std::string_view Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted:
      return "accepted";
    case Verdict::kDuplicate:
      return "duplicate";
    case Verdict::kStale:
      return "stale: that round, or the user's part of it, is over";
    case Verdict::kOutOfOrder:
      return "out of order: the user is not in that phase yet";
    case Verdict::kWrongReporter:
      return "that phase is another node's to report";
    case Verdict::kUnknown:
      return "unknown node";
  }
  return "";
}

bool CoordinatorState::AllDone() const {
  return std::all_of(users.begin(), users.end(), [](const auto& entry) {
    return entry.second.state == UserState::kDone;
  });
}

CoordinatorState StartRound(std::uint32_t round,
                            int layers,
                            const std::vector<std::string>& users,
                            const std::vector<std::string>& servers) {
  CoordinatorState state;
  state.round = round;
  state.layers = layers;
  for (const std::string& id : users) state.users[id] = {};
  for (const std::string& id : servers) state.servers[id] = NodeState::kExpected;
  return state;
}

StepResult Step(CoordinatorState& state, const Event& event) {
  return std::visit(Stepper(state), event);
}

}  // namespace dashf::runtime
