// One event's effect on the state: a pure function. No clock, socket, file or randomness.
//
//   gathering --quorum--> planning --plan--> running --every user done or failed--> ended
//
// Within a running round each user goes through its phases,
//
//   local -> upload -> server -> download -> verify -> done        (k of L layers local)
//
// where k = 0 skips "local" and k = L skips "upload", "server" and "download". What goes wrong with
// a server makes its users pending: a further plan gives them a new attempt, and who trained as
// many layers as that asks for goes on with its upload. Reports are accepted once per (round,
// attempt, user, phase): a repeated one changes nothing, one that is early, stale or from another
// than its owner is refused by name. A fast server's report may overtake its user's of the upload,
// and is kept.
#pragma once

#include <memory>

#include "fleet/event.h"

namespace dashf::fleet {

enum class Verdict {
  kAccepted,
  kDuplicate,      // Known before; nothing changed.
  kStale,          // Of a round, attempt or plan that is over.
  kOutOfOrder,     // The user is not in that phase yet.
  kWrongReporter,  // Another node's to report, or another life of it.
  kUnknown,        // No such node in this fleet.
  kOtherAlive,     // Another process speaks for this node.
};
std::string_view Name(Verdict verdict);

struct MakePlan {  // For the round's tasks that wait for one.
  std::uint32_t round = 0, plan = 0;
};
struct RoundEnded {  // As it ended; the state may be further.
  std::shared_ptr<const Round> round;
};
using Effect = std::variant<MakePlan, RoundEnded>;

struct StepResult {
  Verdict verdict = Verdict::kAccepted;
  std::vector<Effect> effects;
};

// `at`: when it happened; never earlier than the event before. A verdict other than kAccepted means
// that the state is as it was.
StepResult Step(State& state, Millis at, const Event& event);

// When TimePassed next has an effect; nothing: not before another event.
std::optional<Millis> NextDue(const State& state);

// Effects that a restarted coordinator may owe: a plan that was being made, the records of the last
// rounds that have ended.
std::vector<Effect> Owed(const State& state);

}  // namespace dashf::fleet
