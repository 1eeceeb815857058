// How many threads a proof may take, and until when.
#pragma once

#include <chrono>
#include <cmath>

#include "base/termination.h"

namespace dashf::certificate {

// A small value that a proof hands down. Where the time is up every bound that is still to be found
// is infinite, or what is known of it without further work: it holds, and proves nothing.
class Effort {
 public:
  Effort(int threads) : threads_(threads) {}  // NOLINT: a number of threads is an effort.
  // The time runs from here on; none is left where `time_limit_s` is not above 0.
  Effort(int threads, double time_limit_s) : threads_(threads) {
    if (!(time_limit_s < kNeverS)) return;  // So many seconds fit the clock.
    const std::chrono::duration<double> left(std::fmax(time_limit_s, 0.0));
    end_ = start_ + std::chrono::duration_cast<Clock::duration>(left);
  }

  int threads() const { return threads_; }
  bool IsLimited() const { return end_ != Clock::time_point::max(); }
  bool TimeIsUp() const { return StoppedSince(start_) || (IsLimited() && Clock::now() >= end_); }

 private:
  using Clock = std::chrono::steady_clock;

  int threads_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point end_ = Clock::time_point::max();
};

}  // namespace dashf::certificate
