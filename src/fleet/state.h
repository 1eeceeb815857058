// What the coordinator knows of its fleet, and nothing else: the fold of its log of events
// (event.h, step.h). A fleet outlives rounds; a round gathers who is here, is planned, runs and
// ends; an attempt is one assignment of one user within a round. docs/fleet.md has the words.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/node.h"
#include "plan/plan.h"
#include "round/factors.h"
#include "round/round_record.h"

namespace dashf::fleet {

using Millis = std::int64_t;  // Since 1970; as the shell's clock read when an event was taken.

enum class Phase { kLocal, kUpload, kServer, kDownload, kVerify };
std::string_view Name(Phase phase);  // For people: "local training".
std::string_view Key(Phase phase);   // For files: "local".

// How rounds begin, whom they wait for, and how long. Seconds.
struct Policy {
  std::uint32_t rounds_max = 0;  // Then the fleet is over; 0: never.
  bool on_request = false;       // Rounds begin when asked for; otherwise by themselves,
  double interval_s = 0.0;      // so long after the last one began, but not before its end. After a
                                // round that nobody has finished, not before grace_s.
  std::uint32_t users_min = 1;  // Quorum: a round does not start with fewer.
  std::uint32_t servers_min = 1;
  double gather_s = 60.0;        // How long the others are waited for.
  double give_up_s = 0.0;        // A round without its quorum by then fails; 0: waits on.
  double lease_s = 15.0;         // A node that is silent for so long is away,
  double grace_s = 60.0;         // and after so long away it is gone: its work is planned anew.
  bool late_users = true;        // Who comes while a round runs takes part in it.
  int attempts_max = 3;          // Assignments of one user within a round.
  double phase_factor = 0.0;     // A phase is overdue after its predicted time times this, plus
  double phase_slack_s = 600.0;  // this. Factor 0: phases may take as long as they take.
  double time_scale = 1.0;       // Seconds of the wall's clock for one of the plan's.
};

enum class Presence { kNever, kHere, kAway, kGone };
std::string_view Name(Presence presence);

struct Member {
  Presence presence = Presence::kNever;
  std::uint64_t incarnation = 0;  // One life of its process.
  Millis since = 0;               // When its presence last changed.
  std::string report;             // What it can do, in the shell's words.
  std::string refused;            // Why it may not take part; empty: it may.
  bool excluded = false;          // An operator said so, and only an operator may take it back.
  bool drained = false;           // As excluded, but what it is at goes on to its end.
  std::uint32_t rounds_done = 0;  // A user's, so that it goes on from an adapter.
  NodeFactors factors;            // How much longer it takes than its report says.

  // It may be given work.
  bool TakesPart() const { return presence == Presence::kHere && refused.empty() && !drained; }
};

std::size_t CountTakingPart(const std::map<std::string, Member>& members);

struct Measured {
  std::optional<double> elapsed_s, cpu_s;
  std::optional<std::uint64_t> bytes;
  std::optional<double> energy_j = {};  // By a meter of the node's machine.
};

// A user's part of a round.
struct Task {
  enum class State { kPending, kRunning, kDone, kFailed };

  State state = State::kPending;  // Pending: it waits for a plan.
  int attempt = 0;                // 0: none yet.
  std::string server;             // Of the attempt, as all that follows.
  Decision decision;              // decision.server is not used.
  PhaseSeconds predicted_s;
  PhaseFactors factors;  // That these assume.
  Phase phase = Phase::kLocal;
  Millis since = 0;             // The phase's or the wait's beginning.
  Millis due = 0;               // When it is overdue; 0: never.
  bool served = false;          // The server has reported while the upload's report is on its way.
  bool waits_for_slot = false;  // Pending, until another user of the round ends.
  int trained_layers = 0;       // Layers 1..k that the user has trained in this round.
  std::vector<std::string> failed_at;        // Servers with which attempts have failed.
  std::string failure;                       // Why, once kFailed.
  std::map<std::string, Measured> measured;  // By phase key, of the last attempt.
  Quality before, after;

  bool Ended() const { return state == State::kDone || state == State::kFailed; }
};

struct Round {
  enum class Stage { kGathering, kPlanning, kRunning, kEnded };

  std::uint32_t number = 0;
  Stage stage = Stage::kGathering;
  Millis began = 0, ended = 0;
  Millis since = 0;                           // When its stage last changed.
  std::uint32_t plan = 0;                     // How many plans it has asked for.
  bool planning = false;                      // The last of them is being made.
  bool plan_wanted = false;                   // Another one is needed once that is there.
  std::map<std::string, Task> tasks;          // By user.
  std::map<std::string, std::string> absent;  // Users without a part in it, and why.

  bool Done() const;  // Every user of it is.
};
std::string_view Name(Round::Stage stage);

// What is remembered of a round for as long as the fleet has not had kHistoryMax later ones.
struct RoundSummary {
  std::uint32_t number = 0;
  Millis began = 0, ended = 0;
  std::uint32_t done = 0, failed = 0, absent = 0;  // Users.
  // Of the users that are done, the longest: all phases up to the download, by the plan and as they
  // were measured.
  std::optional<double> predicted_s, measured_s;
};
inline constexpr std::size_t kHistoryMax = 1000;

struct State {
  Policy policy;
  int layers = 0;        // L of the model.
  std::string settings;  // Of the training, in the shell's words; a round is of one kind.
  std::string fleet;     // Which fleet it is, whatever its nodes have been part of before.
  std::map<std::string, Member> users, servers;
  std::uint32_t rounds_begun = 0;
  bool requested = false;             // A round that has not begun was asked for.
  Millis next_round_at = 0;           // Not before, unless requested.
  std::optional<Round> round;         // The last one begun; stays until the next begins.
  std::optional<Round> last;          // The one before it.
  std::vector<RoundSummary> history;  // Of those that have ended, in order; the latest.
  bool over = false;                  // No further round will begin.
  std::string over_reason;            // Why, if somebody wanted it so,
  std::string over_by;                // and which operator.

  Member* Find(const NodeId& node);  // nullptr: not of this fleet.
  const Member* Find(const NodeId& node) const;
};

// The phase that an attempt begins with: a user that has already trained these layers uploads.
Phase FirstPhase(int local_layers, int trained_layers, int layers);
// Does a user in this phase still need its server?
bool NeedsServer(const Task& task, int layers);

}  // namespace dashf::fleet
