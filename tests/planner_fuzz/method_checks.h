// What must hold of every method's plan, of the default's bound and of its proof in one scenario.
#pragma once

#include <string>
#include <vector>

#include "scenario/scenario.h"

namespace dashf::planner_fuzz {

struct Findings {
  std::vector<std::string> broken;  // One sentence per rule that does not hold.
  bool exhaustive = false;          // The best plan is known.
  bool is_best = false;             // And the default's is as good, to 1e-4.
  bool proven = false;              // The default's bound is,
  bool is_tight = false;            // to 3 % of its plan.
};

// Called with the name of what runs next, for whoever must say where the program ended.
using Announce = void (*)(const char* step);

// `scenario` is valid. Every method's plan keeps every limit, the default plans whatever another
// plans and ends no lower by more than its gap target, no bound (numerical to 1e-7, proven to
// 1e-12) lies below any plan, exhaustive search's included, what was proven is proven again from
// the file, and the files say what was written. The default is tried with hardly any time, too, and
// with the makespan a second time for its bound if `bounds_makespan`, which takes by far the most.
Findings CheckMethods(const Scenario& scenario, bool bounds_makespan, Announce announce);

}  // namespace dashf::planner_fuzz
