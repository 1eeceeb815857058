#include "scenario/channel.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dashf {
namespace {

Channel At(ChannelModel model, double carrier_ghz, double user_height_m) {
  Channel channel = DefaultChannel(model);
  channel.carrier_hz = carrier_ghz * 1e9;
  channel.user_height_m = user_height_m;
  return channel;
}

// dB, from table 7.4.1-1 of TR 38.901 by a program of its own (Python, written from the table), on
// both sides of the breakpoint: 160 m at 2 GHz, 280 m at 3.5 GHz and 2240 m at 28 GHz (urban
// macro).
struct Reference {
  double distance_m, carrier_ghz, user_height_m, los_db, nlos_db;
};

TEST(Channel, UrbanMacroPathLossIsThatOfTr38901) {
  constexpr Reference kReferences[] = {{10, 2, 1.5, 64.979155, 74.554251},
                                       {100, 2, 1.5, 78.277396, 98.176763},
                                       {400, 3.5, 1.5, 96.143141, 126.139105},
                                       {1000, 3.5, 1.5, 109.411895, 141.666046},
                                       {4000, 28, 1.5, 136.188645, 183.251958},
                                       {300, 28, 10, 111.451756, 134.210248},
                                       {2000, 0.7, 22.5, 97.524628, 126.846226}};
  for (const Reference& r : kReferences) {
    const Channel channel = At(ChannelModel::kTr38901Uma, r.carrier_ghz, r.user_height_m);
    EXPECT_NEAR(PathLossDb(channel, r.distance_m, true), r.los_db, 1e-6) << r.distance_m;
    EXPECT_NEAR(PathLossDb(channel, r.distance_m, false), r.nlos_db, 1e-6) << r.distance_m;
  }
  // High users may see the roofs as their ground: h_E = 15 m.
  const Channel high = At(ChannelModel::kTr38901Uma, 0.7, 22.5);
  EXPECT_NEAR(PathLossDb(high, 2000, true, 15.0), 105.731360, 1e-6);
}

TEST(Channel, UrbanMicroPathLossIsThatOfTr38901) {
  constexpr Reference kReferences[] = {{10, 2, 1.5, 61.900272, 68.280149},
                                       {100, 2, 1.5, 80.453428, 99.467122},
                                       {400, 3.5, 1.5, 103.238761, 125.844828},
                                       {1000, 3.5, 1.5, 119.153068, 139.889203},
                                       {4000, 28, 1.5, 144.144618, 180.377218},
                                       {300, 28, 10, 113.362707, 138.116846},
                                       {2000, 0.7, 22.5, 99.465665, 129.327247}};
  for (const Reference& r : kReferences) {
    const Channel channel = At(ChannelModel::kTr38901Umi, r.carrier_ghz, r.user_height_m);
    EXPECT_NEAR(PathLossDb(channel, r.distance_m, true), r.los_db, 1e-6) << r.distance_m;
    EXPECT_NEAR(PathLossDb(channel, r.distance_m, false), r.nlos_db, 1e-6) << r.distance_m;
  }
}

TEST(Channel, LineOfSightIsAsProbableAsInTable742) {
  const auto probability = [](ChannelModel model, double distance_m, double user_height_m) {
    return LineOfSightProbability(At(model, 2, user_height_m), distance_m);
  };
  constexpr ChannelModel kUma = ChannelModel::kTr38901Uma, kUmi = ChannelModel::kTr38901Umi;
  EXPECT_EQ(probability(kUma, 18, 1.5), 1.0);
  EXPECT_NEAR(probability(kUma, 50, 1.5), 0.6494021903, 1e-9);
  EXPECT_NEAR(probability(kUma, 200, 1.5), 0.1280477300, 1e-9);
  EXPECT_NEAR(probability(kUma, 200, 20), 0.3257263200, 1e-9);
  EXPECT_NEAR(probability(kUma, 1000, 22.5), 0.0445140739, 1e-9);
  EXPECT_NEAR(probability(kUmi, 50, 1.5), 0.5195854136, 1e-9);
  EXPECT_NEAR(probability(kUmi, 200, 20), 0.0935179873, 1e-9);
}

TEST(Channel, TheStudysModelAndFreeSpaceAreTheirFormulas) {
  const Channel study = DefaultChannel(ChannelModel::kTr36814);
  EXPECT_NEAR(PathLossDb(study, 1000, true), 128.1, 1e-12);
  EXPECT_NEAR(PathLossDb(study, 1, true), 128.1 - 2 * 37.6, 1e-12);  // As at 10 m.
  EXPECT_NEAR(PathLossDb(DefaultChannel(ChannelModel::kFreeSpace), 1000, true), 98.464770, 1e-6);
}

// Means and deviations of 20,000 draws, within five standard errors.
TEST(Channel, DrawnGainsHaveTheStatedSightAndShadowing) {
  constexpr int kDraws = 20000;
  const Channel channel = DefaultChannel(ChannelModel::kTr38901Uma);
  const double distance_m = 300.0, p = LineOfSightProbability(channel, distance_m);
  const double los_db = PathLossDb(channel, distance_m, true);
  const double nlos_db = PathLossDb(channel, distance_m, false);
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < kDraws; ++i) {
    const Rng rng = Rng(3).Stream(static_cast<std::uint64_t>(i));
    const double db = -10.0 * std::log10(DrawPathGain(channel, distance_m, rng));
    sum += db;
    squares += db * db;
  }
  const double mean = p * los_db + (1 - p) * nlos_db;
  const double variance =
      p * (los_db * los_db + 16) + (1 - p) * (nlos_db * nlos_db + 36) - mean * mean;
  const double drawn = sum / kDraws;
  EXPECT_NEAR(drawn, mean, 5 * std::sqrt(variance / kDraws));
  EXPECT_NEAR(squares / kDraws - drawn * drawn, variance, 0.05 * variance);
}

TEST(Channel, SameSeedSameGainAndNoShadowingLeavesTwoValues) {
  Channel channel = DefaultChannel(ChannelModel::kTr38901Umi);
  EXPECT_EQ(DrawPathGain(channel, 120, Rng(4)), DrawPathGain(channel, 120, Rng(4)));
  EXPECT_NE(DrawPathGain(channel, 120, Rng(4)), DrawPathGain(channel, 120, Rng(5)));
  channel.shadowing = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const double db = -10.0 * std::log10(DrawPathGain(channel, 120, Rng(seed)));
    const double los = std::abs(db - PathLossDb(channel, 120, true));
    const double nlos = std::abs(db - PathLossDb(channel, 120, false));
    EXPECT_LT(std::min(los, nlos), 1e-9);
  }
}

TEST(Channel, RefusesWhatLiesOutsideAModelsRange) {
  const auto error = [](ChannelModel model, double carrier_ghz, double user_height_m) {
    const auto valid = ValidateChannel(At(model, carrier_ghz, user_height_m));
    return valid ? std::string() : valid.error().Text();
  };
  constexpr ChannelModel kUma = ChannelModel::kTr38901Uma;
  EXPECT_EQ(error(kUma, 3.5, 1.5), "");
  EXPECT_EQ(error(kUma, 0.4, 1.5), "carrier_hz: TR 38.901 holds from 0.5e9 to 100e9 Hz, got 4e+08");
  EXPECT_EQ(error(kUma, 101, 1.5),
            "carrier_hz: TR 38.901 holds from 0.5e9 to 100e9 Hz, got 1.01e+11");
  EXPECT_EQ(error(kUma, 2, 30),
            "user_height_m: TR 38.901 holds for users 1.5 to 22.5 m high, got 30");
  EXPECT_EQ(error(ChannelModel::kTr36814, 3, 1.5),
            "carrier_hz: 3gpp-36.814 is a formula for 2e9 Hz alone, got 3e+09");
  EXPECT_EQ(error(ChannelModel::kFreeSpace, -1, 1.5),
            "carrier_hz: must be a number > 0, got -1e+09");
  EXPECT_EQ(error(ChannelModel::kFreeSpace, std::nan(""), 1.5),
            "carrier_hz: must be a number > 0, got nan");
}

}  // namespace
}  // namespace dashf
