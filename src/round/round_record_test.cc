#include "round/round_record.h"

#include <gmock/gmock.h>

namespace dashf {
namespace {

TEST(RoundRecord, SurvivesItsFileWithAbsentNumbersStillAbsent) {
  RoundRecord record;
  record.scenario_sha256 = "ab";
  record.model = "m";
  record.seed = 7;
  record.data = {{.format = "alpaca",
                  .samples = 300,
                  .sequences = 300,
                  .shortened = 3,
                  .unanswered = 1,
                  .tokens_max = 256,
                  .keys_not_read = {"id"}}};
  record.users.resize(2);
  record.users[0].id = "u0";
  record.users[0].server = "s0";
  record.users[0].local_layers = 2;
  record.users[0].measured_s.upload = 0.25;
  record.users[0].upload_bytes = 1234567;
  record.users[0].after.loss = 1.5;
  record.users[1].id = "u1";
  record.users[1].failure = "lost during upload";
  record.servers = {{"s0", std::nullopt}, {"s1", "lost"}};
  record.references = {{{"u0", {.loss = 1.0, .exact_match = 0.5, .choice_accuracy = {}}}}, {}};
  record.gap = 0.125;
  record.emulation = {
      .time_scale = 2.0,
      .cores_asked = 0.5,
      .cores = 2,
      .node_cores_asked = 0.25,
      .late = {{"u0", "server", 1.0, 1.5, 0.25, 0.75}, {"u0", "upload", 1, 2, {}, {}}}};
  const std::string text = WriteRound(record);
  const auto read = ParseRound("round.json", text);
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(WriteRound(*read), text);
  EXPECT_FALSE(read->Done());
  EXPECT_EQ(read->data.at(0).shortened, 3U);
  EXPECT_EQ(read->users[0].upload_bytes, 1234567U);
  EXPECT_FALSE(read->users[0].before.loss.has_value());
  EXPECT_EQ(read->users[1].failure, "lost during upload");
  EXPECT_EQ(read->references->all_server[0].quality.exact_match, 0.5);
}

TEST(RoundRecord, KeepsWhatNodesHaveShown) {
  RoundRecord record;
  record.users.resize(1);
  record.users[0].id = "u0";
  for (const double ratio : {1.5, 3.0}) record.users[0].factors.upload.Hear(ratio);
  record.servers = {{"s0", std::nullopt, {}}};
  record.servers[0].factors.compute.Hear(0.5);
  const auto read = ParseRound("round.json", WriteRound(record));
  ASSERT_TRUE(read) << read.error().Text();
  const Factor &upload = read->users[0].factors.upload, &heard = record.users[0].factors.upload;
  EXPECT_NEAR(upload.Mean(), heard.Mean(), 1e-12);
  EXPECT_NEAR(upload.Spread(), heard.Spread(), 1e-12);
  EXPECT_EQ(upload.phases, 2U);
  EXPECT_EQ(read->users[0].factors.compute.phases, 0U);
  EXPECT_NEAR(read->servers[0].factors.compute.Mean(), 0.5, 1e-12);
}

// 2 s of a 6 GFLOP/s core are 12 GFLOP: 4 s at 3 GFLOP/s, 1 s at 12 GFLOP/s. Twice the planned bits
// take twice the predicted time; a phase that was not measured stays unknown.
TEST(RoundRecord, MeasuredWorkAndBytesArePutAtThePlansClocksAndRates) {
  Scenario scenario;
  scenario.profiles = {{.name = "p",
                        .local_flop = {0, 1},
                        .server_flop = {1, 0},
                        .upload_bit = {800, 0},
                        .download_bit = {80, 0},
                        .local_memory_bytes = {0, 0}}};
  scenario.users.resize(1);
  scenario.users[0].compute.flop_per_cycle = 3;
  scenario.servers.resize(1);
  scenario.servers[0].compute.flop_per_cycle = 6;
  UserRecord user;
  user.local_cpu_s = 2.0;
  user.server_cpu_s = 2.0;
  user.predicted_s = {.local = {}, .upload = 0.5, .server = {}, .download = 0.5};
  user.upload_bytes = 200;
  const Decision decision{.server = 0,
                          .local_layers = 0,
                          .local_clock_hz = 1e9,
                          .tx_power_w = 0,
                          .bandwidth_hz = 0,
                          .server_tx_power_w = 0,
                          .server_clock_hz = 2e9};
  AtPlannedRates(scenario, 0, decision, 6e9, &user);
  EXPECT_DOUBLE_EQ(*user.measured_at_planned_s.local, 4.0);
  EXPECT_DOUBLE_EQ(*user.measured_at_planned_s.server, 1.0);
  EXPECT_DOUBLE_EQ(*user.measured_at_planned_s.upload, 1.0);
  EXPECT_FALSE(user.measured_at_planned_s.download.has_value());
}

}  // namespace
}  // namespace dashf
