// Large-scale channel models: path loss, line of sight and shadowing between a site and a user,
// each with its source, its range and what it does outside it. Pure: safe from any thread.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "base/rng.h"

namespace dashf {

enum class ChannelModel {
  kTr36814,     // 3GPP TR 36.814 urban macro at 2 GHz, 128.1 + 37.6 log10(d / km) dB.
  kFreeSpace,   // Friis (Proc. IRE 34, 1946): 20 log10(4 pi d f / c) dB.
  kTr38901Uma,  // 3GPP TR 38.901 V17.0.0, table 7.4.1-1, urban macro.
  kTr38901Umi,  // The same, urban micro, street canyon.
};

struct ChannelName {
  ChannelModel model;
  std::string_view name;     // As the command line has it.
  std::string_view summary;  // One line.
};
std::span<const ChannelName> ChannelNames();

// The defaults of a model are those of DefaultChannel().
struct Channel {
  ChannelModel model = ChannelModel::kTr36814;
  double carrier_hz = 2e9;      // > 0.
  double site_height_m = 25.0;  // > 0.
  double user_height_m = 1.5;   // > 0.
  bool shadowing = false;       // Log-normal, independent from link to link; TR 38.901 alone.
  bool fading = true;           // Rayleigh, on top: one draw per link.
};
Channel DefaultChannel(ChannelModel model);

// kUsage names what lies outside the model's range: TR 38.901 holds from 0.5 to 100 GHz and for
// users 1.5 to 22.5 m high, TR 36.814's formula at 2 GHz alone.
Expected<void> ValidateChannel(const Channel& channel);

// Distances on the ground, clamped to where the models begin: 10 m.
inline constexpr double kChannelDistanceMinM = 10.0;
// Up to here TR 38.901 states its models; they are extended beyond it.
inline constexpr double kTr38901DistanceMaxM = 5000.0;

// In [0, 1], table 7.4.2-1 for users outdoors; 1 for the other models.
double LineOfSightProbability(const Channel& channel, double distance_m);
// dB. `effective_height_m` is h_E of table 7.4.1-1, note 1 (TR 38.901 alone): 1 m for urban micro,
// and for urban macro with users below 13 m.
double PathLossDb(const Channel& channel,
                  double distance_m,
                  bool line_of_sight,
                  double effective_height_m = 1.0);
// dB, of the log-normal shadowing; 0 for models without.
double ShadowingDeviationDb(ChannelModel model, bool line_of_sight);

// A link's power gain: line of sight, h_E and shadowing drawn from `rng` where the model has them;
// without fading. > 0.
double DrawPathGain(const Channel& channel, double distance_m, const Rng& rng);

}  // namespace dashf
