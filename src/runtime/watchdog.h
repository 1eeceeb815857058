// Deadlines on progress: an action is taken when nothing has been heard for a while, however long
// the whole takes. One thread looks after all of a process's watches.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace dashf::runtime {

class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;

  // Ends the watch when destroyed; `on_silence` is not running any more after that.
  class Watch {
   public:
    Watch(Watchdog* watchdog, std::uint64_t id) : watchdog_(watchdog), id_(id) {}
    ~Watch() { watchdog_->End(id_); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    void Touch() { watchdog_->Touch(id_); }  // Something was heard.

   private:
    Watchdog* watchdog_;
    std::uint64_t id_;
  };

  Watchdog();
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // `on_silence` runs once, on the watchdog's thread, after `silence_max` without a Touch(). It
  // must be short and must not end a watch.
  std::unique_ptr<Watch> Start(std::chrono::milliseconds silence_max,
                               std::function<void()> on_silence);

 private:
  struct Entry {
    std::chrono::milliseconds silence_max;
    Clock::time_point due;
    std::function<void()> on_silence;
  };

  void Touch(std::uint64_t id);
  void End(std::uint64_t id);
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Entry> entries_;
  std::uint64_t next_id_ = 1;
  std::uint64_t running_ = 0;  // The watch whose action is being taken, or 0.
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dashf::runtime
