// The planner that the coordinator is handed: a method of solvers/, checked by Evaluate(), written
// as plan.json.
#pragma once

#include "runtime/coordinator.h"

namespace dashf::cli {

// kBadInput at `where` if there is no such method.
Expected<runtime::Planner> PlannerFor(const std::string& where, const runtime::CoordinatorKit& kit);

}  // namespace dashf::cli
