// An evaluation's numbers as JSON. JSON has no infinity and no NaN: a phase that never ends has no
// value (null).
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>

#include "problem/evaluation.h"

namespace dashf {

inline nlohmann::ordered_json FiniteOrNull(double x) {
  return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(nullptr);
}

inline nlohmann::ordered_json ToJson(const PhaseValues& phases) {
  return {{"local", FiniteOrNull(phases.local)},
          {"upload", FiniteOrNull(phases.upload)},
          {"server", FiniteOrNull(phases.server)},
          {"download", FiniteOrNull(phases.download)}};
}

}  // namespace dashf
