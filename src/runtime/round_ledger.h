// What a round's users report of their phases, and the record that comes of it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "round/round_record.h"
#include "runtime/coordinator.h"
#include "runtime/coordinator_core.h"
#include "runtime/messages.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

class RoundLedger {
 public:
  RoundLedger(const std::vector<std::string>& users, int layers);

  // Of a phase that ended well; the user is one of the round's.
  void Enter(const v1::PhaseReport& report, Phase phase);
  // Users and servers in the scenario's order, with how each ended and, if there was a plan, what
  // it foretold. `machine_flop_per_s`: of the machine that the nodes share.
  RoundRecord Record(const CoordinatorState& state,
                     const Scenario& scenario,
                     const PlannedRound& planned,
                     double machine_flop_per_s) const;

 private:
  std::map<std::string, UserRecord> users_;
};

// A line of progress.
std::string FinishedLine(const CoordinatorState& state, const v1::PhaseReport& report, Phase phase);

}  // namespace dashf::runtime
