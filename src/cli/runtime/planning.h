// The planner that the coordinator is handed: a method of solvers/, checked by Evaluate(), written
// as plan.json.
#pragma once

#include "runtime/coordinator.h"

namespace dashf::cli {

runtime::Planner PlannerFor(const runtime::CoordinatorKit& kit);

}  // namespace dashf::cli
