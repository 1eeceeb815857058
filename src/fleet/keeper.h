// The rule that makes a coordinator durable: nothing leaves the process before it is in the log.
#pragma once

#include "fleet/log.h"
#include "fleet/step.h"

namespace dashf::fleet {

class Keeper {
 public:
  // `state` is the fold of `log`. The log must outlive it.
  Keeper(State state, EventLog* log) : state_(std::move(state)), log_(*log) {}

  const State& state() const { return state_; }

  // Steps through the events and appends those that were accepted, all at once: results in the
  // events' order, to be acted upon now. An error means that the log does not have them, and that
  // this state must not be used any more.
  Expected<std::vector<StepResult>> Take(std::vector<LoggedEvent> events);

 private:
  State state_;
  EventLog& log_;
};

}  // namespace dashf::fleet
