#include "runtime/watchdog.h"

#include <algorithm>

namespace dashf::runtime {

Watchdog::Watchdog() : thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::unique_ptr<Watchdog::Watch> Watchdog::Start(std::chrono::milliseconds silence_max,
                                                 std::function<void()> on_silence) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t id = next_id_++;
  entries_[id] = {silence_max, Clock::now() + silence_max, std::move(on_silence)};
  changed_.notify_all();
  return std::make_unique<Watch>(this, id);
}

void Watchdog::Touch(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found != entries_.end()) found->second.due = Clock::now() + found->second.silence_max;
}

void Watchdog::End(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  entries_.erase(id);
}

// Callbacks run under the lock, so that End() returns only when its callback is over.
void Watchdog::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const Clock::time_point now = Clock::now();
    Clock::time_point next = now + std::chrono::hours(1);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      if (entry->second.due <= now) {
        entry->second.on_silence();
        entry = entries_.erase(entry);
      } else {
        next = std::min(next, entry->second.due);
        ++entry;
      }
    }
    changed_.wait_until(lock, next);
  }
}

}  // namespace dashf::runtime
