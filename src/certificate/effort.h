// How many threads a proof may take, and until when.
#pragma once

#include <chrono>
#include <cmath>

namespace dashf::certificate {

// A small value that a proof hands down. Where the time is up every bound that is still to be found
// is infinite, or what is known of it without further work: it holds, and proves nothing.
class Effort {
 public:
  Effort(int threads) : threads_(threads) {}  // NOLINT: a number of threads is an effort.
  // The time runs from here on; none is left where `time_limit_s` is not above 0.
  Effort(int threads, double time_limit_s) : threads_(threads) {
    constexpr double kNever = 1e9;  // So many seconds fit the clock.
    if (!(time_limit_s < kNever)) return;
    const std::chrono::duration<double> left(std::fmax(time_limit_s, 0.0));
    end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(left);
  }

  int threads() const { return threads_; }
  bool IsLimited() const { return end_ != Clock::time_point::max(); }
  bool TimeIsUp() const { return IsLimited() && Clock::now() >= end_; }

 private:
  using Clock = std::chrono::steady_clock;

  int threads_;
  Clock::time_point end_ = Clock::time_point::max();
};

}  // namespace dashf::certificate
