// A plan carried out as it assumes, on a machine and over links that could do more: each phase goes
// as fast as the plan says and no faster, so that the clock on the wall tells what it predicts
// (docs/emulation.md). Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "round/factors.h"
#include "round/round_record.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

struct Emulation {
  double time_scale = 0.0;          // Seconds that one of the plan's takes; 0: nobody is held back.
  double machine_flop_per_s = 0.0;  // Of one core of the nodes' machines, as the profile states it;
                                    // 0: not known, and not what the plan asks of them.
  // By user: how many times as long as by its profile its device takes to train. 1 where none is.
  std::map<std::string, double> slowdown = {};
};

// Who has a slowdown is a user of the scenario; kBadInput at `where` names who is not.
Expected<void> CheckSlowdown(const std::string& where,
                             const std::map<std::string, double>& slowdown,
                             const Scenario& scenario);

// A user's phases on the devices that are emulated, in the plan's seconds: its prediction without
// the factors that the plan has assumed, and with its device's own.
PhaseSeconds EmulatedSeconds(const std::string& user,
                             PhaseSeconds predicted_s,
                             const PhaseFactors& assumed,
                             const Emulation& emulation);

// How fast a user's phases may go, on the wall's clock; 0: as fast as they can.
struct Pace {
  double upload_bit_per_s = 0.0, download_bit_per_s = 0.0;  // r(b, p), r(b, q) of (2).
  double local_s = 0.0, server_s = 0.0;  // For the phase's work: W / (c f), W / (c s) of (1).
};

// Of a user whose phases are to take these times of the plan's, with this profile and split.
Pace PaceOf(const SplitProfile& profile,
            int local_layers,
            const PhaseSeconds& seconds,
            const Emulation& emulation);

// What its training asks of the nodes' machines meanwhile, in their cores; 0: not known.
struct AskedCores {
  double local = 0.0, server = 0.0;
};
AskedCores AskedCoresOf(const SplitProfile& profile,
                        int local_layers,
                        const PhaseSeconds& seconds,
                        const Emulation& emulation);

struct PlannedPhases {
  PhaseSeconds seconds;
  AskedCores cores;
};
// How many cores the plan keeps busy at the same time, at the most: all users begin at once.
double CoresAsked(const std::vector<PlannedPhases>& users);

}  // namespace dashf::runtime
