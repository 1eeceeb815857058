// What can happen to a fleet. Everything that its state depends on is one of these; each is in the
// log before anybody learns what came of it (log.h).
#pragma once

#include <variant>

#include "fleet/state.h"

namespace dashf::fleet {

// The first event of every log, and of a coordinator that was started with other settings.
struct Configured {
  Policy policy;
  int layers = 0;
  std::vector<std::string> users, servers;
  std::string settings = {};  // Of the training, in the shell's words.
  std::string fleet = {};  // The log's own name: of two fleets' nodes and files no two are alike.
};
struct Joined {  // A node's session began.
  NodeId node;
  std::uint64_t incarnation = 0;
  std::string report;  // Empty: as it said before.
};
struct TurnedAway {  // It asked to join and may not.
  NodeId node;
  std::string reason;
};
struct WentAway {  // Its lease has lapsed, or it said good-bye.
  NodeId node;
  std::uint64_t incarnation = 0;
};
// What an operator asks for; `by` is who, "operator/ada", and empty where nobody stands behind it.
struct Excluded {  // At once, until Admitted.
  NodeId node;
  std::string reason;
  std::string by;
};
struct Drained {  // It ends what it is at and takes no further part, until Admitted.
  NodeId node;
  std::string by;
};
struct Admitted {
  NodeId node;
  std::string by;
};
struct RoundRequested {  // At once, or when the one that runs has ended.
  std::string by;
};
struct Assignment {
  std::string user, server;
  Decision decision;
  PhaseSeconds predicted_s;
  std::string failure;          // Not empty: the user can have none, and why.
  bool waits_for_slot = false;  // It can have none before another user ends.
  PhaseFactors factors = {};    // That predicted_s assumes.
};
struct PlanMade {
  std::uint32_t round = 0, plan = 0;
  std::vector<Assignment> assignments;
};
struct PlanFailed {
  std::uint32_t round = 0, plan = 0;
  std::string reason;
};
struct PhaseFinished {
  NodeId reporter;  // The user; its server for Phase::kServer.
  std::uint64_t incarnation = 0;
  std::uint32_t round = 0;
  int attempt = 0;
  std::string user;
  Phase phase = Phase::kLocal;
  std::string failure;  // Not empty: it finished by failing.
  Measured measured;
  Quality before, after;  // Of Phase::kVerify.
};
struct TimePassed {};
struct Stopped {  // By whoever runs the coordinator, or by an operator.
  std::string reason;
  bool at_once = true;  // Otherwise when the round that runs has ended.
  std::string by;
};
using Event = std::variant<Configured,
                           Joined,
                           TurnedAway,
                           WentAway,
                           Excluded,
                           Drained,
                           Admitted,
                           RoundRequested,
                           PlanMade,
                           PlanFailed,
                           PhaseFinished,
                           TimePassed,
                           Stopped>;

}  // namespace dashf::fleet
