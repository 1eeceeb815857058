// SIGINT and SIGTERM while something is going on that can be ended in order: the first is noted, a
// second ends the process at once, as without this.
#pragma once

namespace dashf::cli {

// One at a time in a process.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  static int received();  // The signal's number; 0: none came.
};

}  // namespace dashf::cli
