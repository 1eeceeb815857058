// The time of day, as the log of events counts it.
#pragma once

#include <chrono>

#include "fleet/state.h"

namespace dashf::runtime {

inline fleet::Millis WallClock() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace dashf::runtime
