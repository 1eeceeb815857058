#include "scenario/channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dashf {
namespace {

constexpr double kLightMPerS = 3.0e8;  // As TR 38.901 rounds it.
constexpr double kTr36814CarrierHz = 2e9;
constexpr double kCarrierHzMin = 0.5e9, kCarrierHzMax = 100e9;
constexpr double kUserHeightMMin = 1.5, kUserHeightMMax = 22.5;
constexpr double kLowUserM = 13.0;  // Below, nothing depends on the height of a macro cell's user.
constexpr double kNearM = 18.0;     // Within, there is line of sight.

constexpr ChannelName kNames[] = {
    {ChannelModel::kTr36814,
     "3gpp-36.814",
     "TR 36.814 urban macro at 2 GHz, 128.1 + 37.6 log10(d / km) dB, Rayleigh fading"},
    {ChannelModel::kTr38901Uma,
     "3gpp-38.901-uma",
     "TR 38.901 urban macro: line of sight and shadowing drawn, sites 25 m high"},
    {ChannelModel::kTr38901Umi,
     "3gpp-38.901-umi",
     "TR 38.901 urban micro, street canyon: the same, sites 10 m high"},
    {ChannelModel::kFreeSpace, "free-space", "Friis: 20 log10(4 pi d f / c) dB"}};

bool IsTr38901(ChannelModel model) {
  return model == ChannelModel::kTr38901Uma || model == ChannelModel::kTr38901Umi;
}

// C of note 1 without g, and C' of table 7.4.2-1: 0 for users up to 13 m.
double HighUserFactor(double user_height_m) {
  return user_height_m <= kLowUserM ? 0.0 : std::pow((user_height_m - kLowUserM) / 10.0, 1.5);
}

// g of note 1; table 7.4.2-1 has it, too.
double DistanceFactor(double d) {
  return d <= kNearM ? 0.0 : 1.25 * std::pow(d / 100.0, 3.0) * std::exp(-d / 150.0);
}

// What a model of TR 38.901 has of its own in table 7.4.1-1.
struct Coefficients {
  double intercept_db, slope_db;  // With line of sight, up to the breakpoint.
  double far_db;                  // Beyond: of log10(d'BP^2 + (h_BS - h_UT)^2).
  double nlos_db, nlos_slope_db, nlos_carrier_db, nlos_height_db_per_m;
};
constexpr Coefficients kUma{28.0, 22.0, 9.0, 13.54, 39.08, 20.0, 0.6};
constexpr Coefficients kUmi{32.4, 21.0, 9.5, 22.4, 35.3, 21.3, 0.3};

double Tr38901Db(const Channel& channel, double d2, bool line_of_sight, double effective_m) {
  const Coefficients& c = channel.model == ChannelModel::kTr38901Uma ? kUma : kUmi;
  const double rise_m = channel.site_height_m - channel.user_height_m;
  const double log_d3 = std::log10(std::hypot(d2, rise_m));
  const double log_ghz = std::log10(channel.carrier_hz / 1e9);
  // Heights above the effective environment; antennas below it leave no breakpoint beyond.
  const double breakpoint_m = 4.0 * std::max(channel.site_height_m - effective_m, 0.0) *
                              std::max(channel.user_height_m - effective_m, 0.0) *
                              channel.carrier_hz / kLightMPerS;
  double db = c.intercept_db + 20.0 * log_ghz;
  db += d2 <= breakpoint_m
            ? c.slope_db * log_d3
            : 40.0 * log_d3 - c.far_db * std::log10(breakpoint_m * breakpoint_m + rise_m * rise_m);
  if (line_of_sight) return db;
  return std::max(db,
                  c.nlos_db + c.nlos_slope_db * log_d3 + c.nlos_carrier_db * log_ghz -
                      c.nlos_height_db_per_m * (channel.user_height_m - kUserHeightMMin));
}

// h_E of note 1.
double DrawEffectiveHeightM(const Channel& channel, double d2, Rng rng) {
  if (channel.model != ChannelModel::kTr38901Uma) return 1.0;
  const double high = HighUserFactor(channel.user_height_m) * DistanceFactor(d2);
  const bool low = rng.Uniform() < 1.0 / (1.0 + high);
  const double steps = std::floor((channel.user_height_m - 1.5 - 12.0) / 3.0) + 1.0;
  if (low || steps < 1.0) return 1.0;
  return 12.0 + 3.0 * static_cast<double>(rng.Below(static_cast<std::uint64_t>(steps)));
}

}  // namespace

std::span<const ChannelName> ChannelNames() {
  return kNames;
}

Channel DefaultChannel(ChannelModel model) {
  Channel channel{.model = model};
  channel.shadowing = IsTr38901(model);
  channel.fading = model == ChannelModel::kTr36814;
  if (model == ChannelModel::kTr38901Umi) channel.site_height_m = 10.0;
  return channel;
}

Expected<void> ValidateChannel(const Channel& channel) {
  const auto require = [](bool holds, const char* name, double value, std::string rule) {
    return holds ? Expected<void>()
                 : Fail(ErrorKind::kUsage, name, fmt::format("{}, got {:g}", rule, value));
  };
  struct Rule {
    bool holds;
    const char* name;
    double value;
    std::string rule;
  };
  const bool tr38901 = IsTr38901(channel.model);
  const auto positive = [](double value) { return value > 0.0 && std::isfinite(value); };
  const Rule rules[] = {
      {positive(channel.carrier_hz), "carrier_hz", channel.carrier_hz, "must be a number > 0"},
      {positive(channel.site_height_m),
       "site_height_m",
       channel.site_height_m,
       "must be a number > 0"},
      {positive(channel.user_height_m),
       "user_height_m",
       channel.user_height_m,
       "must be a number > 0"},
      {channel.model != ChannelModel::kTr36814 || channel.carrier_hz == kTr36814CarrierHz,
       "carrier_hz",
       channel.carrier_hz,
       "3gpp-36.814 is a formula for 2e9 Hz alone"},
      {!tr38901 || (channel.carrier_hz >= kCarrierHzMin && channel.carrier_hz <= kCarrierHzMax),
       "carrier_hz",
       channel.carrier_hz,
       "TR 38.901 holds from 0.5e9 to 100e9 Hz"},
      {!tr38901 ||
           (channel.user_height_m >= kUserHeightMMin && channel.user_height_m <= kUserHeightMMax),
       "user_height_m",
       channel.user_height_m,
       "TR 38.901 holds for users 1.5 to 22.5 m high"}};
  for (const Rule& rule : rules) {
    if (auto kept = require(rule.holds, rule.name, rule.value, rule.rule); !kept) return kept;
  }
  return {};
}

double LineOfSightProbability(const Channel& channel, double distance_m) {
  const double d = std::max(distance_m, kChannelDistanceMinM);
  if (!IsTr38901(channel.model) || d <= kNearM) return 1.0;
  const bool macro = channel.model == ChannelModel::kTr38901Uma;
  const double near = kNearM / d + std::exp(-d / (macro ? 63.0 : 36.0)) * (1.0 - kNearM / d);
  if (!macro) return near;
  return std::min(1.0, near * (1.0 + HighUserFactor(channel.user_height_m) * DistanceFactor(d)));
}

double PathLossDb(const Channel& channel,
                  double distance_m,
                  bool line_of_sight,
                  double effective_height_m) {
  const double d = std::max(distance_m, kChannelDistanceMinM);
  switch (channel.model) {
    case ChannelModel::kTr36814:
      return 128.1 + 37.6 * std::log10(d / 1000.0);
    case ChannelModel::kFreeSpace:
      return 20.0 * std::log10(4.0 * std::numbers::pi * channel.carrier_hz / kLightMPerS *
                               std::hypot(d, channel.site_height_m - channel.user_height_m));
    case ChannelModel::kTr38901Uma:
    case ChannelModel::kTr38901Umi:
      break;
  }
  return Tr38901Db(channel, d, line_of_sight, effective_height_m);
}

double ShadowingDeviationDb(ChannelModel model, bool line_of_sight) {
  if (model == ChannelModel::kTr38901Uma) return line_of_sight ? 4.0 : 6.0;
  if (model == ChannelModel::kTr38901Umi) return line_of_sight ? 4.0 : 7.82;
  return 0.0;
}

double DrawPathGain(const Channel& channel, double distance_m, const Rng& rng) {
  bool line_of_sight = true;
  double effective_m = 1.0, shadow_db = 0.0;
  if (IsTr38901(channel.model)) {
    const double d = std::max(distance_m, kChannelDistanceMinM);
    line_of_sight = rng.Stream("line of sight").Uniform() < LineOfSightProbability(channel, d);
    effective_m = DrawEffectiveHeightM(channel, d, rng.Stream("effective height"));
    if (channel.shadowing) {
      shadow_db =
          ShadowingDeviationDb(channel.model, line_of_sight) * rng.Stream("shadowing").Normal();
    }
  }
  return std::pow(
      10.0, -(PathLossDb(channel, distance_m, line_of_sight, effective_m) + shadow_db) / 10.0);
}

}  // namespace dashf
