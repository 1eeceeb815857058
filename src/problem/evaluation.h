// The independent checker: recomputes delay, energy, score, cost and every limit of a plan from the
// scenario and the decisions alone (docs/model.md (1)-(7)). Nothing here is shared with any solver,
// and everything reported about a plan comes from here.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"
#include "scenario/scenario.h"

namespace dashf {

struct PhaseValues {
  double local = 0.0;  // User's training of layers 1..k.
  double upload = 0.0;
  double server = 0.0;  // Server's training of layers k+1..L.
  double download = 0.0;

  double Sum() const { return local + upload + server + download; }
};

struct UserEvaluation {
  PhaseValues delay_s;
  PhaseValues energy_j;
  double score = 0.0;
};

struct Violation {
  std::string where;  // "user u3", "server s1".
  std::string rule;   // "bandwidth_hz granted exceeds bandwidth_hz".
  double value = 0.0;
  double limit = 0.0;
};

struct Evaluation {
  bool feasible = false;  // Every limit of (3) holds to 1e-9 relative and every number is finite.
  std::vector<Violation> violations;
  double scr = 0.0;  // Score / Cost; 0 if infeasible in a way that leaves cost without a value.
  double score = 0.0;
  double cost = 0.0;
  double delay_s = 0.0;  // By the scenario's delay mode.
  double energy_j = 0.0;
  std::vector<UserEvaluation> users;
};

Evaluation Evaluate(const Scenario& scenario, const Plan& plan);

}  // namespace dashf
