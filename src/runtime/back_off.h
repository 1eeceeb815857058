// How long to wait before the next try of something that is not there: each time about twice as
// long, and not for all nodes the same.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace dashf::runtime {

inline std::uint64_t RandomNumber() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

class BackOff {
 public:
  using Pause = std::chrono::milliseconds;
  static constexpr Pause kMin{200}, kMax{10'000};

  Pause Next() {
    const Pause now = next_;
    const double factor = 1.5 + std::uniform_real_distribution<>(0.0, 1.0)(random_);
    next_ =
        std::min(kMax, Pause(static_cast<std::int64_t>(factor * static_cast<double>(now.count()))));
    return now;
  }
  void Reset() { next_ = kMin; }

 private:
  Pause next_ = kMin;
  std::minstd_rand random_{static_cast<unsigned>(RandomNumber())};
};

}  // namespace dashf::runtime
