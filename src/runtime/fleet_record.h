// What a round brought, out of the fleet's state: its record and its lines for people.
#pragma once

#include <string>

#include "fleet/event.h"
#include "round/round_record.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

// Users and servers in the scenario's order, with how each ended; users that had no part in the
// round have failed with the reason. `scenario` is the deployment's with all reports;
// `machine_flop_per_s` of the machine that the nodes share, 0 if they do not share one.
RoundRecord RecordOf(const fleet::Round& round,
                     const fleet::State& state,
                     const Scenario& scenario,
                     double machine_flop_per_s);

// A line of progress about a phase that ended.
std::string FinishedLine(const fleet::Task& task, const fleet::PhaseFinished& report, int layers);

// How far a round that runs is: how many users are in which phase.
std::string ProgressLineOf(const fleet::Round& round);

}  // namespace dashf::runtime
