// By the clock on the wall (pacer.h): a plan's link, kept to by whoever sends on it, and a plan's
// time for a training, kept to by whoever trains.
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
  // Work that takes so many seconds, > 0, as a whole; a share `done` of it was done before.
  PacedWork(double planned_s, double done) : schedule_(planned_s, done, 0.0) {}

  // When so much of it is to be over.
  Paced::Clock::time_point Due(double done) const {
    const std::chrono::duration<double> at(schedule_.Due(done));
    return began_ + std::chrono::duration_cast<Paced::Clock::duration>(at);
  }

 private:
  const Paced::Clock::time_point began_ = Paced::Clock::now();
  const Schedule schedule_;
};

}  // namespace dashf::runtime
