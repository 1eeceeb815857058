// A pacer (pacer.h) by the clock on the wall: a plan's link, kept to by whoever sends on it, and a
// plan's clock, kept to by whoever trains.
#pragma once

#include <chrono>
#include <cstdint>

#include "runtime/pacer.h"

namespace dashf::runtime {

class Paced {
 public:
  using Clock = std::chrono::steady_clock;

  Paced(double rate, double patience_s) : pacer_(rate, 0.0, patience_s) {}

  Clock::time_point Next(double units) {
    const double now_s = std::chrono::duration<double>(Clock::now() - began_).count();
    const std::chrono::duration<double> at(pacer_.Next(units, now_s));
    return began_ + std::chrono::duration_cast<Clock::duration>(at);
  }

 private:
  const Clock::time_point began_ = Clock::now();
  Pacer pacer_;
};

class PacedLink {
 public:
  explicit PacedLink(double bit_per_s) : paced_(bit_per_s, kPatienceS) {}  // > 0.

  // When the next bytes have crossed it, if they are there now: they are to be sent then.
  Paced::Clock::time_point Crossed(std::uint64_t bytes) {
    return paced_.Next(8.0 * static_cast<double>(bytes));
  }

 private:
  // A busy machine is late; a broken connection's time is lost.
  static constexpr double kPatienceS = 1.0;

  Paced paced_;
};

class PacedWork {
 public:
  // Processor seconds per second, > 0. What others take of the machine is caught up with.
  explicit PacedWork(double cores) : paced_(cores, std::numeric_limits<double>::infinity()) {}

  // When the work so far, of so many processor seconds in all, is to be over.
  Paced::Clock::time_point Due(double cpu_s) {
    const double more_s = cpu_s - cpu_s_;
    cpu_s_ = cpu_s;
    return paced_.Next(more_s);
  }

 private:
  Paced paced_;
  double cpu_s_ = 0.0;
};

}  // namespace dashf::runtime
