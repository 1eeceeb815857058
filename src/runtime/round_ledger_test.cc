#include "runtime/round_ledger.h"

#include <gmock/gmock.h>

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

Scenario TwoUsers() {
  Scenario scenario;
  const Compute compute{.clock_hz_max = 1e9, .flop_per_cycle = 10, .kappa_w_per_hz3 = 1e-27};
  scenario.profiles = {{.name = "p",
                        .local_flop = {0, 1e9},
                        .server_flop = {1e9, 0},
                        .upload_bit = {1e4, 5e4},
                        .download_bit = {1e5, 0},
                        .local_memory_bytes = {0, 1e6}}};
  for (const char* id : {"u0", "u1"}) {
    User user;
    user.id = id;
    user.compute = compute;
    scenario.users.push_back(user);
  }
  Server server;
  server.id = "s0";
  server.compute = compute;
  scenario.servers = {server};
  scenario.links = {{{0, 1e-9}}, {{0, 1e-9}}};
  return scenario;
}

v1::PhaseReport ReportOf(const std::string& user, double elapsed_s) {
  v1::PhaseReport report;
  report.set_user(user);
  report.set_elapsed_s(elapsed_s);
  report.set_cpu_s(0.5 * elapsed_s);
  report.set_bytes(1000);
  return report;
}

TEST(RoundLedger, RecordsWhatWasReportedAndWhoFailedWithoutAPlan) {
  CoordinatorState state = StartRound(1, 1, {"u0", "u1"}, {"s0"});
  RoundLedger ledger({"u0", "u1"}, state.layers);
  ledger.Enter(ReportOf("u0", 2.0), Phase::kLocal);
  ledger.Enter(ReportOf("u0", 0.25), Phase::kUpload);
  v1::PhaseReport checked = ReportOf("u0", 1.0);
  checked.mutable_before()->set_loss(2.5);
  checked.mutable_after()->set_loss(1.5);
  checked.mutable_after()->set_exact_match(0.75);
  ledger.Enter(checked, Phase::kVerify);
  state.users.at("u0").state = UserProgress::State::kDone;
  state.users.at("u1").failure = "lost";
  const RoundRecord record = ledger.Record(state, TwoUsers(), {}, 1e10);
  ASSERT_EQ(record.users.size(), 2U);
  const UserRecord& done = record.users[0];
  EXPECT_EQ(done.layers, 1);
  EXPECT_EQ(done.measured_s.local, 2.0);
  EXPECT_EQ(done.local_cpu_s, 1.0);
  EXPECT_EQ(done.upload_bytes, 1000U);
  EXPECT_EQ(done.measured_s.server, std::nullopt);
  EXPECT_EQ(done.before.loss, 2.5);
  EXPECT_EQ(done.after.exact_match, 0.75);
  EXPECT_EQ(done.failure, std::nullopt);
  EXPECT_EQ(record.users[1].failure, "lost");
  ASSERT_EQ(record.servers.size(), 1U);
  EXPECT_EQ(record.servers[0].failure, "never registered");
  EXPECT_THAT(FinishedLine(state, checked, Phase::kVerify),
              HasSubstr("finished after 1.00 s, 1.0 kB, held-out loss 2.500 -> 1.500"));
}

}  // namespace
}  // namespace dashf::runtime
