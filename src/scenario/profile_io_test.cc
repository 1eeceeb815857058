#include "scenario/profile_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "scenario/generator.h"

namespace dashf {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

MeasuredProfile TwoLayers() {
  return {.name = "laptop",
          .model = "tiny",
          .layers = 2,
          .objective = PhaseObjective::kFullDepth,
          .epochs = 3,
          .joint_epochs = 0.5,
          .tokens_measured = 1000,
          .data_bit_per_token = 8,
          .adapter_bit_per_layer = {100, 200},
          .local_flop_per_token = {0, 5, 0.1},
          .server_flop_per_token = {7, 3, 0},
          .local_memory_bytes = {0, 10, 20},
          .measured_local_s = {0, 1, 2},
          .measured_server_s = {3, 1.5, 0},
          .machine = {.clock_hz = 2e9,
                      .flop_per_cycle = 16,
                      .kappa_w_per_hz3 = 1e-27,
                      .gemm_flop_per_s = 4e10}};
}

TEST(MeasuredProfile, RoundTripsExactly) {
  const std::string text = WriteProfile(TwoLayers());
  const auto again = ParseProfile("p.json", text);
  ASSERT_TRUE(again) << again.error().Text();
  EXPECT_EQ(WriteProfile(*again), text);
  EXPECT_EQ(again->objective, PhaseObjective::kFullDepth);
  EXPECT_EQ(again->joint_epochs, 0.5);
  EXPECT_EQ(again->machine.gemm_flop_per_s, 4e10);
}

TEST(MeasuredProfile, WorkAndDataGrowWithTheTokensAdaptersDoNot) {
  MeasuredProfile measured = TwoLayers();
  measured.joint_epochs = 0.0;
  const SplitProfile p = ScaleProfile(measured, {.tokens = 10, .data_bit = 90}, "p");
  EXPECT_THAT(p.local_flop, ElementsAre(0, 50, 1));
  EXPECT_THAT(p.server_flop, ElementsAre(70, 30, 0));
  EXPECT_THAT(p.upload_bit, ElementsAre(90, 190, 0));
  EXPECT_THAT(p.download_bit, ElementsAre(300, 200, 0));
  EXPECT_THAT(p.local_memory_bytes, ElementsAre(0, 10, 20));
}

TEST(MeasuredProfile, AfterJointEpochsAllLayersAreSentBack) {
  const SplitProfile p = ScaleProfile(TwoLayers(), {.tokens = 10, .data_bit = 90}, "p");
  EXPECT_THAT(p.upload_bit, ElementsAre(90, 190, 0));
  EXPECT_THAT(p.download_bit, ElementsAre(300, 300, 0));
}

TEST(MeasuredProfile, MakesAScenarioWhoseDevicesAreSharesOfItsMachine) {
  GeneratorOptions options;
  options.profile = TwoLayers();
  options.machine_share = 0.5;
  options.data_sets = {{500, 4000}, {2000, 16000}, {1000, 8000}};
  const auto scenario = GenerateStudy(3, 1, options, Rng(2));
  ASSERT_TRUE(scenario) << scenario.error().Text();
  EXPECT_EQ(scenario->profiles[1].local_flop[1], 5 * 2000);
  EXPECT_EQ(scenario->profiles[1].upload_bit[0], 16000);
  for (const User& user : scenario->users) {
    EXPECT_EQ(user.compute.flop_per_cycle, 16);
    EXPECT_LE(user.compute.clock_hz_max, 1e9);
    EXPECT_GE(user.compute.clock_hz_max, 1e9 * 0.6 / 2.2);
  }
}

TEST(MeasuredProfile, RefusesBrokenFilesByPath) {
  const auto error = [](const char* pointer, const json& value) {
    json document = json::parse(WriteProfile(TwoLayers()));
    document[json::json_pointer(pointer)] = value;
    const auto profile = ParseProfile("p.json", document.dump());
    return profile ? "" : profile.error().Text();
  };
  EXPECT_THAT(error("/schema", "dashf.profile/9"), HasSubstr("schema"));
  EXPECT_THAT(error("/layers", 3), HasSubstr("adapter_bit_per_layer: must have 3 entries, has 2"));
  EXPECT_THAT(error("/joint_epochs", -1), HasSubstr("joint_epochs: must be a number >= 0"));
  EXPECT_THAT(error("/objective", "half"), HasSubstr("objective"));
  EXPECT_THAT(error("/local_flop_per_token/0", 1), HasSubstr("must start with 0"));
  EXPECT_THAT(error("/server_flop_per_token/2", 1), HasSubstr("must end with 0"));
  EXPECT_THAT(error("/machine/clock_hz", 0), HasSubstr("machine.clock_hz: must be a number > 0"));
  EXPECT_THAT(error("/measured_local_s/1", -1), HasSubstr("measured_local_s[1]"));
  EXPECT_THAT(error("/machine/cores", 2), HasSubstr("machine.cores: unknown key"));
}

}  // namespace
}  // namespace dashf
