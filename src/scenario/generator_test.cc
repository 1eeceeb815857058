#include "scenario/generator.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "scenario/analytic_profile.h"
#include "scenario/places.h"
#include "scenario/scenario_io.h"

namespace dashf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Generator, SameSeedSameScenarioAndOtherSeedAnother) {
  const std::string first = WriteScenario(*GenerateStudy(10, 2, {}, Rng(5)));
  EXPECT_EQ(first, WriteScenario(*GenerateStudy(10, 2, {}, Rng(5))));
  EXPECT_NE(first, WriteScenario(*GenerateStudy(10, 2, {}, Rng(6))));
}

// Every purpose, user and pair has its own stream of random numbers.
TEST(Generator, OneMoreServerOrUserMovesNobodyAndFadesNoOtherLink) {
  const Scenario small = *GenerateStudy(10, 2, {}, Rng(5));
  const Scenario large = *GenerateStudy(12, 3, {}, Rng(5));
  for (std::size_t n = 0; n < small.users.size(); ++n) {
    EXPECT_EQ(small.users[n].position_m.x_m, large.users[n].position_m.x_m);
    EXPECT_EQ(small.users[n].compute.flop_per_cycle, large.users[n].compute.flop_per_cycle);
    EXPECT_EQ(small.profiles[n].server_flop, large.profiles[n].server_flop);
    for (std::size_t m = 0; m < small.servers.size(); ++m) {
      EXPECT_EQ(small.links[n][m].gain, large.links[n][m].gain);
    }
  }
}

TEST(Generator, DelayModeChangesTheObjectiveAlone) {
  GeneratorOptions makespan;
  makespan.delay = DelayMode::kMakespan;
  Scenario a = *GenerateStudy(10, 2, {}, Rng(5));
  Scenario b = *GenerateStudy(10, 2, makespan, Rng(5));
  EXPECT_EQ(b.objective.delay_weight_per_s, 10 * a.objective.delay_weight_per_s);
  b.objective = a.objective;
  EXPECT_EQ(WriteScenario(a), WriteScenario(b));
}

TEST(Generator, BothEnergyModelsDrawTheSamePowerAtFullClock) {
  GeneratorOptions constant;
  constant.compute_energy = ComputeEnergy::kConstantPerFlop;
  const Scenario a = *GenerateStudy(10, 2, {}, Rng(6));
  const Scenario b = *GenerateStudy(10, 2, constant, Rng(6));
  const auto full_power_w = [](const Compute& c) {
    return c.kappa_w_per_hz3 * std::pow(c.clock_hz_max, 3.0) +
           c.energy_j_per_flop * c.clock_hz_max * c.flop_per_cycle;
  };
  for (std::size_t n = 0; n < a.users.size(); ++n) {
    EXPECT_EQ(b.users[n].compute.kappa_w_per_hz3, 0.0);
    EXPECT_NEAR(full_power_w(b.users[n].compute), full_power_w(a.users[n].compute), 1e-12);
  }
  for (std::size_t m = 0; m < a.servers.size(); ++m) {
    EXPECT_NEAR(full_power_w(b.servers[m].compute), full_power_w(a.servers[m].compute), 1e-12);
  }
}

// 128.1 + 37.6 log10(0.1) = 90.5 dB at 100 m; at 1 m the loss of 10 m, 52.9 dB. Rayleigh fading is
// exponential with mean 1, so 4000 draws average to 1 within 5 / sqrt(4000) = 8 %.
TEST(Generator, GainsFollowThePathLossModelOnAverage) {
  Geography places;
  places.servers = {{0.0, 0.0}};
  for (int n = 0; n < 4000; ++n) places.users.push_back({n % 2 == 0 ? 100.0 : 1.0, 0.0});
  const auto scenario = GenerateAt(places, 1, {}, Rng(9));
  ASSERT_TRUE(scenario) << scenario.error().Text();
  double mean[2] = {0.0, 0.0};
  for (std::size_t n = 0; n < 4000; ++n) mean[n % 2] += scenario->links[n][0].gain / 2000.0;
  EXPECT_NEAR(mean[0] / std::pow(10.0, -9.05), 1.0, 0.12);
  EXPECT_NEAR(mean[1] / std::pow(10.0, -5.29), 1.0, 0.12);
}

TEST(Generator, EveryScenarioOfManySizesAdmitsAPlan) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto scenario = GenerateStudy(
        1 + static_cast<int>(seed % 13), 1 + static_cast<int>(seed % 5), {}, Rng(seed));
    ASSERT_TRUE(scenario) << "seed " << seed << ": " << scenario.error().Text();
  }
}

TEST(Generator, KeepsTheStrongestCandidates) {
  const Scenario all = *GenerateStudy(30, 12, {}, Rng(3));
  Geography places;
  for (const User& user : all.users) places.users.push_back(user.position_m);
  for (const Server& server : all.servers) places.servers.push_back(server.position_m);
  const auto some = GenerateAt(places, 4, {}, Rng(3));
  ASSERT_TRUE(some) << some.error().Text();
  for (std::size_t n = 0; n < 30; ++n) {
    ASSERT_EQ(some->links[n].size(), 4u);
    double weakest = 1.0;
    for (const Link& link : some->links[n]) weakest = std::min(weakest, link.gain);
    const auto stronger = std::count_if(all.links[n].begin(),
                                        all.links[n].end(),
                                        [&](const Link& link) { return link.gain >= weakest; });
    EXPECT_EQ(stronger, 4);
  }
}

TEST(Generator, RefusesOptionsOutOfRange) {
  GeneratorOptions options;
  options.bandwidth_hz = std::numeric_limits<double>::infinity();
  EXPECT_EQ(GenerateStudy(2, 1, options, Rng(1)).error().kind, ErrorKind::kUsage);
  EXPECT_EQ(GenerateStudy(0, 1, {}, Rng(1)).error().kind, ErrorKind::kUsage);
  GeneratorOptions one_data_set;
  one_data_set.data_sets = {{1e5, 1e6}};
  EXPECT_THAT(GenerateStudy(2, 1, one_data_set, Rng(1)).error().Text(), HasSubstr("one per user"));
}

// Llama 3.2 1B with LoRA of rank 8 on all seven matrices: 352,256 parameters a layer, 16 bit each;
// its 16 layers and tied embedding count 1.2358 G parameters (norms left out).
TEST(AnalyticProfile, CountsTheParametersOfLlama1b) {
  EXPECT_EQ(AdapterParametersPerLayer(kLlama1b, {}), 352'256);
  const SplitProfile profile = AnalyticProfile(kLlama1b, {}, {1000.0, 32e3}, "p");
  EXPECT_EQ(profile.layers(), 16);
  EXPECT_EQ(profile.upload_bit[3] - profile.upload_bit[2], 16 * 352'256);
  EXPECT_EQ(profile.upload_bit[0], 32e3);
  EXPECT_EQ(profile.download_bit[0], 16 * 16 * 352'256);
  EXPECT_EQ(profile.upload_bit[16], 0.0);
}

TEST(AnalyticProfile, UserWorkIsAffineWithTheHeadAsFixedCostAndTheServersShrinks) {
  const FineTuning tuning{.epochs = 2, .answer_share = 0.5};
  const SplitProfile p = AnalyticProfile(kLlama1b, tuning, {1000.0, 32e3}, "p");
  const double layer = p.local_flop[2] - p.local_flop[1];
  for (std::size_t k = 2; k <= 16; ++k) {
    EXPECT_NEAR(p.local_flop[k] - p.local_flop[k - 1], layer, 1e-6 * layer);
    EXPECT_LT(p.server_flop[k], p.server_flop[k - 1]);
  }
  // Head: 2 FLOP per weight, forward and backward, half of 1000 tokens, twice.
  EXPECT_NEAR(p.local_flop[1] - layer, 2.0 * 2 * 2048 * 128256 * 1000, 1e-3 * layer);
  // A layer moved to the user saves the server two epochs forward and backward but costs one pass
  // forward: 3 of 4 forward passes.
  EXPECT_NEAR(p.server_flop[1] - p.server_flop[2], 0.75 * layer, 1e-6 * layer);
}

TEST(Eua, MelbourneHas125SitesAnd816UsersWithinThreeKilometres) {
  const char* set = std::getenv("DASHF_SHARED_DATA");
  const std::filesystem::path folder =
      std::filesystem::path(set ? set : DASHF_SOURCE_DIR "/../shared/data") / "eua";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no EUA data set at " << folder;
  const auto read = ReadPlaces((folder / "site-optus-melbCBD.csv").string(),
                               (folder / "users-melbcbd-generated.csv").string());
  ASSERT_TRUE(read) << read.error().Text();
  const Geography& places = read->geography;
  EXPECT_EQ(places.servers.size(), 125u);
  EXPECT_EQ(places.users.size(), 816u);
  EXPECT_EQ(places.server_equipment.front().name.substr(0, 18), "Spring and Flinder");
  for (const Position& p : places.users) EXPECT_LT(std::hypot(p.x_m, p.y_m), 3000.0);
  const auto scenario = GenerateAt(places, 8, {}, Rng(1));
  ASSERT_TRUE(scenario) << scenario.error().Text();
  for (const auto& links : scenario->links) EXPECT_EQ(links.size(), 8u);
}

}  // namespace
}  // namespace dashf
