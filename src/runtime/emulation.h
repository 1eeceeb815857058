// A plan carried out as it assumes, on a machine and over links that could do more: each phase goes
// as fast as the plan says and no faster, so that the clock on the wall tells what it predicts
// (docs/emulation.md). Pure.
#pragma once

#include <vector>

#include "round/round_record.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

struct Emulation {
  double time_scale = 0.0;          // Seconds that one of the plan's takes; 0: nobody is held back.
  double machine_flop_per_s = 0.0;  // Of one core of the nodes' machines, as the profile states it;
                                    // 0: not known, and training is not held back.
};

// How fast a user's phases may go; 0: as fast as they can.
struct Pace {
  double upload_bit_per_s = 0.0, download_bit_per_s = 0.0;  // r(b, p), r(b, q) of (2).
  double local_cores = 0.0, server_cores = 0.0;  // Processor seconds per second: c f of (1) in
                                                 // cores of the machine.
};

// Of a user that was predicted these times with this profile and split.
Pace PaceOf(const SplitProfile& profile,
            int local_layers,
            const PhaseSeconds& predicted_s,
            const Emulation& emulation);

struct PlannedPhases {
  PhaseSeconds predicted_s;
  Pace pace;
};
// How many cores the plan keeps busy at the same time, at the most: all users begin at once.
double CoresAsked(const std::vector<PlannedPhases>& users);

}  // namespace dashf::runtime
