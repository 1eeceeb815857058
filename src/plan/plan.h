// A plan: what every user does. Decisions alone; what they bring is the evaluator's to say
// (problem/evaluation.h).
#pragma once

#include <vector>

namespace dashf {

// Resources that a phase of zero work or zero bits does not need may be 0.
struct Decision {
  int server = 0;                  // Index into Scenario::servers.
  int local_layers = 0;            // k: the user trains layers 1..k.
  double local_clock_hz = 0.0;     // f.
  double tx_power_w = 0.0;         // p, upload.
  double bandwidth_hz = 0.0;       // b, both directions.
  double server_tx_power_w = 0.0;  // q, download.
  double server_clock_hz = 0.0;    // s, the user's share of the server's clock.
};

using Plan = std::vector<Decision>;  // One per user, in the scenario's order.

}  // namespace dashf
