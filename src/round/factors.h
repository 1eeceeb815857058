// How much longer nodes take than their profiles say, as their rounds have shown.
#pragma once

#include <cstdint>

namespace dashf {

// Of one kind of a node's work: measured over predicted time of its latest phases, as geometric
// mean and geometric standard deviation. Both forget exponentially once there are kFactorMemory of
// them, so a device that has become slower is believed within a few rounds.
struct Factor {
  double log_mean = 0.0, log_variance = 0.0;
  std::uint32_t phases = 0;  // That it rests on; 0: none, and the profile is believed.

  // A ratio > 0; what is out of [1 / kFactorMax, kFactorMax] counts as its end.
  void Hear(double ratio);
  double Mean() const;    // 1: as the profile says.
  double Spread() const;  // >= 1.
};
inline constexpr std::uint32_t kFactorMemory = 8;
inline constexpr double kFactorMax = 1e4;

// Of a user all three; of a server compute alone.
struct NodeFactors {
  Factor compute, upload, download;

  bool Any() const { return compute.phases + upload.phases + download.phases > 0; }
};

// What a prediction has assumed, by phase.
struct PhaseFactors {
  double local = 1.0, upload = 1.0, server = 1.0, download = 1.0;
};

}  // namespace dashf
