// A whole fleet in one process, on a virtual clock: the coordinator's Keeper and the nodes' agents
// as they are, over a simulated network (delay, loss, duplicates, reordering, partitions) and
// simulated disks (a crash loses what was not saved; a disk may refuse). Training is a cheap
// function of its input, so that a wrong mixture of attempts shows. A seed fixes everything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dashf::fleet {

// Deliberate mistakes in the shells around the core; the checks must find each.
enum class Mistake {
  kNone,
  kAnswerBeforeLog,        // The coordinator answers a report before it is in the log.
  kSkipLease,              // Silent nodes are never away.
  kReuseAttempt,           // A new assignment has the old attempt's number.
  kAnyIncarnation,         // Reports and sessions of any life of a process are believed.
  kForgetOwed,             // A restarted coordinator does not go on with its plan.
  kReportBeforeSave,       // A user tells of a phase before its disk has it.
  kForgetUploads,          // A restarted server has lost its spool and says nothing.
  kMixAttempts,            // A server hands out what it trained for an earlier attempt.
  kStopClock,              // Time is no event.
  kOrdersOnce,             // Orders that were lost are not sent again.
  kKeepAfterFailedAppend,  // A coordinator goes on after its disk has refused.
  kTellOperatorsFirst,     // An operator is told of what the log does not have.
};
std::string NameOf(Mistake mistake);
std::vector<Mistake> AllMistakes();

struct SimulationResult {
  std::string broken;              // The first property that does not hold; empty: all hold.
  std::vector<std::string> trace;  // What happened, if it was asked for.
  std::int64_t messages = 0, faults = 0;
  int tasks_done = 0, tasks_failed = 0;
};

SimulationResult Simulate(std::uint64_t seed, Mistake mistake, bool trace);

}  // namespace dashf::fleet
