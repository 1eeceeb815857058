// The round as a pure state machine: events in, actions out; no clock, socket, file or randomness.
// The coordinator's gRPC service is its shell (coordinator.h); docs/protocol.md draws it.
//
// Every node registers -> a plan is made -> each user goes through its phases
//
//   local -> upload -> server -> download -> verify -> done        (k of L layers local)
//
// where k = 0 skips "local" and k = L skips "upload", "server" and "download". A user that is lost,
// or whose server is, or that reports a failure, fails alone; the round ends when every user is
// done or failed. Reports are accepted once per (round, user, phase): a repeated one changes
// nothing, one that is too early, stale or from the wrong node is refused by name. Two reporters
// may cross: a fast server's report of its training can overtake the user's of the upload, and is
// kept until that has come.
//
// Not thread-safe: the shell calls Step() under its own lock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/node.h"

namespace dashf::runtime {

enum class Phase { kLocal, kUpload, kServer, kDownload, kVerify };
std::string_view Name(Phase phase);  // For people: "local training".
std::string_view Key(Phase phase);   // For files: "local".

enum class NodeState { kExpected, kRegistered, kLost };

struct UserProgress {
  enum class State { kWaiting, kRunning, kDone, kFailed };

  NodeState node = NodeState::kExpected;
  State state = State::kWaiting;
  std::string server;  // Once planned.
  int local_layers = 0;
  Phase phase = Phase::kLocal;  // The one going on while kRunning.
  bool served = false;          // The server has reported while the upload's report is on its way.
  std::string failure;          // Why, once kFailed.
};

struct CoordinatorState {
  enum class Stage { kRegistering, kPlanning, kRunning, kEnded };

  std::uint32_t round = 1;
  int layers = 0;  // L.
  Stage stage = Stage::kRegistering;
  std::map<std::string, UserProgress> users;
  std::map<std::string, NodeState> servers;

  bool AllDone() const;
};

// The state before anything happened: these nodes are waited for.
CoordinatorState StartRound(std::uint32_t round,
                            int layers,
                            const std::vector<std::string>& users,
                            const std::vector<std::string>& servers);

// Events.
struct NodeRegistered {
  NodeId node;
};
struct RegistrationClosed {};  // Its deadline has passed: whoever is missing is lost.
struct UserPlan {
  std::string user, server;
  int local_layers = 0;
};
struct PlanMade {
  std::vector<UserPlan> users;  // Every user once.
};
struct PlanFailed {
  std::string reason;
};
struct PhaseFinished {
  NodeId reporter;  // The user; its server for Phase::kServer.
  std::uint32_t round = 0;
  std::string user;
  Phase phase = Phase::kLocal;
  std::string failure;  // Not empty: it finished by failing.
};
struct NodeLost {
  NodeId node;
};
struct RoundStopped {  // By whoever runs the coordinator.
  std::string reason;
};
using Event = std::variant<NodeRegistered,
                           RegistrationClosed,
                           PlanMade,
                           PlanFailed,
                           PhaseFinished,
                           NodeLost,
                           RoundStopped>;

// Actions.
struct MakePlan {};
struct ExpectUser {  // Tell the server before the user starts.
  std::string server, user;
};
struct StartUser {
  std::string user;
};
struct CollectResult {  // Tell the user that its server has finished.
  std::string user;
};
struct DropUser {  // Tell the server to forget the user's data and adapters.
  std::string server, user, reason;
};
struct UserEnded {  // Tell the user; its part of the round is over.
  std::string user, failure;
};
struct RoundEnded {
  bool success = false;
};
using Action =
    std::variant<MakePlan, ExpectUser, StartUser, CollectResult, DropUser, UserEnded, RoundEnded>;

enum class Verdict {
  kAccepted,
  kDuplicate,      // Known before, nothing changed.
  kStale,          // Another round's, or the round or the user's part of it is over.
  kOutOfOrder,     // The user is not in this phase yet.
  kWrongReporter,  // Not the node that this phase belongs to.
  kUnknown,        // No such node, or a plan that does not fit the round.
};
std::string_view Name(Verdict verdict);

struct StepResult {
  Verdict verdict = Verdict::kAccepted;
  std::vector<Action> actions;  // Empty unless accepted.
};

StepResult Step(CoordinatorState& state, const Event& event);

}  // namespace dashf::runtime
