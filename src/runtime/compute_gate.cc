#include "runtime/compute_gate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

namespace dashf::runtime {
namespace {

constexpr double kQuantumS = 0.1;
// How long a free turn may go unnoticed by the one that is next: small against the quantum. The
// others may be slower to notice that it is theirs to be next.
constexpr std::chrono::milliseconds kNextPoll(1), kQueuePoll(5);

bool TryLock(const Descriptor& file) {
  return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace

Expected<void> ComputeGate::Open() {
  for (int n = -1; n < turns_; ++n) {
    const auto path =
        folder_ / (n < 0 ? std::string("queue.lock") : fmt::format("turn-{}.lock", n));
    Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (file.get() < 0) {
      files_.clear();
      return Fail(ErrorKind::kIo, path.string(), std::strerror(errno));
    }
    files_.push_back(std::move(file));
  }
  return {};
}

Expected<bool> ComputeGate::Enter(const std::function<bool()>& wanted) {
  if (folder_.empty()) return wanted();
  if (files_.empty()) {
    if (auto opened = Open(); !opened) return tl::unexpected(opened.error());
  }
  if (held_ && since_.MeasuredS() < kQuantumS && wanted()) return true;
  Leave();
  const Stopwatch watch;
  const bool got = Wait(wanted);
  waited_s_ += watch.MeasuredS();
  since_ = Stopwatch();
  return got;
}

// Only the holder of the queue's lock looks for a turn, so that whoever gives one back cannot take
// it again before the one that waited.
bool ComputeGate::Wait(const std::function<bool()>& wanted) {
  const Descriptor& queue = files_.front();
  while (!TryLock(queue)) {
    if (!wanted()) return false;
    std::this_thread::sleep_for(kQueuePoll);
  }
  while (!held_ && wanted()) {
    for (std::size_t n = 1; n < files_.size() && !held_; ++n) {
      if (TryLock(files_[n])) held_ = n;
    }
    if (!held_) std::this_thread::sleep_for(kNextPoll);
  }
  ::flock(queue.get(), LOCK_UN);
  return held_.has_value();
}

void ComputeGate::Leave() {
  if (held_) ::flock(files_[*held_].get(), LOCK_UN);
  held_.reset();
}

}  // namespace dashf::runtime
