// Processor time of the whole process. Internal to this module.
#pragma once

#include <ctime>

namespace dashf::train {

inline double ProcessCpuS() {
  std::timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace dashf::train
