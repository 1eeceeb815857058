// What a round brought, out of the fleet's state: its record and its lines for people.
#pragma once

#include <string>

#include "fleet/event.h"
#include "round/round_record.h"
#include "runtime/emulation.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

// One user's part, as far as it is; its place in the scenario is `n`. Without the ids.
UserRecord UserRecordOf(const fleet::Task& task,
                        const Scenario& scenario,
                        std::size_t n,
                        const Emulation& emulation,
                        bool learn);

// Users and servers in the scenario's order, with how each ended; users that had no part in the
// round have failed with the reason. `scenario` is the deployment's with all reports; where plans
// `learn` what the wall's clock shows, it is what they are held against.
RoundRecord RecordOf(const fleet::Round& round,
                     const fleet::State& state,
                     const Scenario& scenario,
                     const Emulation& emulation,
                     bool learn);

// What an emulated round asks of the machine, by its latest plan, and where that was not as fast;
// none: it is not emulated.
std::optional<EmulationRecord> EmulationOf(const fleet::Round& round,
                                           const Scenario& scenario,
                                           const Emulation& emulation);
// For people: what it asks for, and whether that is more than there is.
std::string EmulationLine(const EmulationRecord& emulation);

// A line of progress about a phase that ended.
std::string FinishedLine(const fleet::Task& task, const fleet::PhaseFinished& report, int layers);

// How far a round that runs is: how many users are in which phase.
std::string ProgressLineOf(const fleet::Round& round);

}  // namespace dashf::runtime
