// Turns at the processor. Nodes that share a machine train one per core, so that the times they
// measure are those of an unshared core. A turn is a file lock: the kernel gives it back when its
// holder dies.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/termination.h"

namespace dashf::runtime {

// One thread's.
class ComputeGate {
 public:
  // One of `turns` >= 1 locks in `folder`. An empty folder means a machine of one's own: every turn
  // is granted at once.
  ComputeGate(std::filesystem::path folder, int turns)
      : folder_(std::move(folder)), turns_(turns) {}

  // Before each piece of work: goes on with the turn that it has, or gives it back after a tenth of
  // a second and waits for its next one behind those who wait already. False once it is not
  // `wanted`, and then it has none. kIo if the folder cannot be used.
  Expected<bool> Enter(const std::function<bool()>& wanted);
  void Leave();
  double waited_s() const { return waited_s_; }  // In all.

 private:
  Expected<void> Open();
  bool Wait(const std::function<bool()>& wanted);

  const std::filesystem::path folder_;
  const int turns_;
  std::vector<Descriptor> files_;  // The queue, then the turns; empty at first.
  std::optional<std::size_t> held_;
  Stopwatch since_;  // When it was taken.
  double waited_s_ = 0.0;
};

}  // namespace dashf::runtime
