// A rate that is kept: work that is done in pieces, each of which is over no sooner than at that
// rate. A token bucket, told as when it will have refilled (the generic cell rate algorithm of
// ITU-T I.371). Pure: time is told to it.
#pragma once

#include <algorithm>
#include <limits>

namespace dashf::runtime {

class Pacer {
 public:
  // `rate` > 0 in units per second. What comes late is caught up with as long as it is no later
  // than `patience_s`; beyond that, time in which nothing was there to be done is lost.
  Pacer(double rate, double now_s, double patience_s = std::numeric_limits<double>::infinity())
      : rate_(rate), patience_s_(patience_s), free_s_(now_s) {}

  // When a piece that follows all others is over, if it is there now.
  double Next(double units, double now_s) {
    free_s_ = std::max(free_s_, now_s - patience_s_) + units / rate_;
    return free_s_;
  }

 private:
  const double rate_, patience_s_;
  double free_s_;  // When all pieces so far are over.
};

// Work that is to be even over its planned time: each piece is over when as large a share of the
// time has passed as of the work. It does not matter how long pieces take while the machine is fast
// enough; where it was not, what follows catches up. Pure.
class Schedule {
 public:
  // The rest of the work begins now: a share `done` in [0, 1] of it was done before.
  Schedule(double planned_s, double done, double now_s)
      : planned_s_(planned_s), done_(done), begun_s_(now_s) {}

  // When that much of the work is to be over, and not before.
  double Due(double done) const { return begun_s_ + planned_s_ * (done - done_); }

 private:
  const double planned_s_, done_, begun_s_;
};

}  // namespace dashf::runtime
