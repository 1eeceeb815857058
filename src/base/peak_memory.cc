#include "base/peak_memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace dashf {
namespace {

double StatusBytes(const char* key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stod(line.substr(line.find(':') + 1)) * 1024.0;
  }
  return 0.0;
}

}  // namespace

double ResidentMemoryBytes() {
  return StatusBytes("VmRSS:");
}

void ResetPeakMemory() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

double PeakMemoryBytes() {
  return StatusBytes("VmHWM:");
}

}  // namespace dashf
