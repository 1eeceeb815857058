// What systemd is told of a service of Type=notify with WatchdogSec=: one datagram per state to the
// socket that $NOTIFY_SOCKET names (sd_notify(3)). Without that variable nothing is sent.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace dashf::runtime {

// Thread-safe; never blocks.
class ServiceState {
 public:
  ServiceState();  // From the environment, which stays as it is.

  void Ready(const std::string& status) const;
  void Stopping() const;
  // To be called at least every WatchdogSec / 2 by whoever must not stand still; more often costs
  // nothing.
  void Alive();
  // Between two of them; zero if nobody watches.
  std::chrono::microseconds alive_every() const { return alive_every_; }

 private:
  void Send(const std::string& message) const;

  std::string socket_;
  std::chrono::microseconds alive_every_{0};
  std::mutex mutex_;
  std::chrono::steady_clock::time_point sent_{};
};

// Alive() from a thread of its own, for programs without a loop that turns often: the watchdog then
// tells of a process that does not run at all (stopped, or starved of memory), not of one that
// waits for ever.
class ServicePulse {
 public:
  explicit ServicePulse(ServiceState* service);
  ~ServicePulse();
  ServicePulse(const ServicePulse&) = delete;
  ServicePulse& operator=(const ServicePulse&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dashf::runtime
