// Child processes that do not outlive their parent: each is killed by the kernel when the parent
// dies, and all share one process group.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace dashf::runtime {

struct ProcessEnd {
  std::string name;
  pid_t pid = 0;
  int exit_code = 0;  // If it ended by itself.
  int signal = 0;     // If not 0: what killed it.
};
std::string Describe(const ProcessEnd& end);  // "exit 8", "killed by signal 9 (Killed)".

// Not thread-safe; start children from the main thread (the kernel ties them to the thread that
// started them). The destructor kills and reaps whatever is left.
class ProcessGroup {
 public:
  ProcessGroup() = default;
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  // Runs `arguments[0]` with the rest; stdin is empty, stdout goes to stderr, so that only the
  // parent writes results, and stderr to the end of the file `log`, if one is named.
  // `environment` entries ("NAME=value") are added. kIo if it cannot start.
  Expected<pid_t> Start(const std::string& name,
                        const std::vector<std::string>& arguments,
                        const std::vector<std::string>& environment = {},
                        const std::string& log = "");

  std::optional<ProcessEnd> Poll();  // One child that has ended since, if any.
  bool Running(const std::string& name) const;
  std::size_t running() const { return children_.size(); }
  void Signal(const std::string& name, int signal);
  void KillAll();  // SIGKILL to the group; reaps everything.

 private:
  std::map<pid_t, std::string> children_;
  pid_t group_ = 0;
};

// Ends this process with that exit code if it has not ended by itself within `patience`.
void ExitWithin(std::chrono::seconds patience, int exit_code);

std::string ThisProcess();  // For people: "process 4711 on edge1".

// SIGINT, SIGTERM and SIGHUP as data: blocked when constructed, in this and later threads, and
// looked at when convenient. Children started by ProcessGroup get the default behaviour back.
class StopSignals {
 public:
  StopSignals();
  // Waits up to `timeout_ms`; the signal, if one came.
  std::optional<int> Wait(int timeout_ms);
};

// While it lives, such a signal ends this process at once with 128 + N: for a start, which has
// nothing to keep and may read from a disk that does not answer. Nobody else may wait for signals.
class EndedBySignals {
 public:
  EndedBySignals();
  ~EndedBySignals();
  EndedBySignals(const EndedBySignals&) = delete;
  EndedBySignals& operator=(const EndedBySignals&) = delete;

 private:
  StopSignals signals_;
  std::atomic<bool> over_ = false;
  std::thread thread_;  // Last: it uses the others.
};

}  // namespace dashf::runtime
