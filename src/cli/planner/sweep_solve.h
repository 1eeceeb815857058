// How a parameter study's scenarios are planned: by the methods of `dashf compare`.
#pragma once

#include <vector>

#include "sweep/work.h"

namespace dashf::cli {

// One method after the other, on one thread each where the method leaves the choice.
std::vector<sweep::Outcome> SolveForSweep(const sweep::Task& task);

}  // namespace dashf::cli
