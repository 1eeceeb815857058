// SIGINT and SIGTERM while something is going on that can be ended in order: the first is noted, a
// second ends the process at once, as without this.
#pragma once

namespace dashf::cli {

// Has SIGINT and SIGTERM taken by a thread that does nothing else, for as long as the process
// lives. oneDNN's products keep their stack pointer inside memory of the heap: a handler that ran
// on top of one would write over its neighbours. To be called before the process starts any other
// thread.
void TakeStopSignalsAside();

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
