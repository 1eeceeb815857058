// What a user's process decides, without doing it: orders and outcomes in, effects out. What it
// remembers is on its disk before anybody is told of it, so a process that was killed goes on.
#pragma once

#include <deque>
#include <variant>

#include "fleet/event.h"
#include "fleet/orders.h"
#include "fleet/step.h"

namespace dashf::fleet {

struct Outcome {  // Of a phase that was carried out.
  std::string failure;
  Measured measured;
  Quality before, after;
};

struct UserMemory {
  std::uint32_t round = 0;  // Of the attempt, over or not; 0: there was none.
  int attempt = 0;
  std::string server;
  Decision decision;
  bool working = false;  // The attempt is not over, as far as the user knows.
  Phase phase = Phase::kLocal;
  int trained_layers = 0;                // In this round.
  Measured local;                        // Of that training.
  std::optional<Outcome> finished;       // How this round ended well for the user, if it has.
  std::deque<PhaseFinished> unreported;  // In order; reporter and incarnation are the shell's.
};

// Effects, to be carried out in their order.
struct Save {};      // The memory, durably.
struct NewRound {};  // What it begins from is the adapter that it now has.
struct Begin {       // This phase of memory.attempt.
  Phase phase = Phase::kLocal;
};
struct Cancel {};  // What is being done; its outcome is not wanted.
struct Report {};  // memory.unreported is not empty: send its front.
using UserEffect = std::variant<Save, NewRound, Begin, Cancel, Report>;

class UserAgent {
 public:
  UserAgent(UserMemory memory, int layers) : memory_(std::move(memory)), layers_(layers) {}

  const UserMemory& memory() const { return memory_; }
  bool busy() const { return busy_; }

  // A process that was started anew goes on with its attempt when these come for the first time;
  // the same orders again change nothing.
  std::vector<UserEffect> OnOrders(const UserOrders& orders);
  // Of the phase that was begun last.
  std::vector<UserEffect> OnOutcome(const Outcome& outcome);
  // The coordinator's answer to the front of memory.unreported.
  std::vector<UserEffect> OnReported(Verdict verdict);

 private:
  std::vector<UserEffect> Decline(const UserOrders& orders);
  bool Lost(const UserOrders& orders) const;
  PhaseFinished ReportOf(Phase phase, const Outcome& outcome) const;

  UserMemory memory_;
  const int layers_;
  bool busy_ = false;  // A phase is being carried out.
};

// Has the coordinator, with this verdict, heard the report for good?
bool Settled(Verdict verdict);

}  // namespace dashf::fleet
