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
  std::unique_lock lock(mutex_);
  entries_.erase(id);
  // A cancelled call may be torn down, its watch with it, from within the very action.
  if (std::this_thread::get_id() == thread_.get_id()) return;
  changed_.wait(lock, [&] { return running_ != id; });
}

void Watchdog::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const auto due =
        std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
          return a.second.due < b.second.due;
        });
    if (due == entries_.end()) {
      changed_.wait(lock);
      continue;
    }
    if (due->second.due > Clock::now()) {
      changed_.wait_until(lock, Clock::time_point(due->second.due));
      continue;
    }
    const std::function<void()> on_silence = std::move(due->second.on_silence);
    running_ = due->first;
    entries_.erase(due);
    lock.unlock();
    on_silence();
    lock.lock();
    running_ = 0;
    changed_.notify_all();
  }
}

}  // namespace dashf::runtime
