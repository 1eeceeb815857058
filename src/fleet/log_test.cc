#include "fleet/log.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <fstream>

#include "fleet/codec.h"
#include "fleet/keeper.h"

namespace dashf::fleet {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class Log : public testing::Test {
 protected:
  Log() { fs::remove_all(path_), fs::remove(path_.string() + "-wal"); }

  // Two rounds of one all-local user, in batches of one event.
  static std::vector<LoggedEvent> Events() {
    Policy policy;
    policy.rounds_max = 2;
    std::vector<LoggedEvent> events = {{10, Configured{policy, 2, {"u0"}, {"s0"}}},
                                       {11, Joined{UserNode("u0"), 7, R"({"clock": 1e9})"}},
                                       {12, Joined{ServerNode("s0"), ~std::uint64_t{0}, ""}}};
    for (std::uint32_t round = 1; round <= 2; ++round) {
      Assignment assignment{
          "u0", "s0", {}, {.local = 0.1, .upload = {}, .server = {}, .download = {}}, ""};
      assignment.decision.local_layers = 2;
      assignment.decision.tx_power_w = 0.1 + 0.2;
      events.push_back({13 * round, PlanMade{round, 1, {assignment}}});
      for (const Phase phase : {Phase::kLocal, Phase::kVerify}) {
        PhaseFinished finished{UserNode("u0"), 7, round, 1, "u0", phase, "", {}, {}, {}};
        finished.measured.elapsed_s = 1.0 / 3.0;
        if (phase == Phase::kVerify) finished.after.loss = 0.1;
        events.push_back({13 * round + 1, finished});
      }
      events.push_back({13 * round + 2, TimePassed{}});
    }
    return events;
  }

  State Written() {
    State state;
    auto log = SqliteLog::Open(path_, &state);
    EXPECT_TRUE(log) << log.error().Text();
    Keeper keeper(state, log->get());
    for (const LoggedEvent& event : Events()) {
      EXPECT_EQ(keeper.Take({event})->front().verdict, Verdict::kAccepted);
    }
    return keeper.state();
  }

  Expected<State> Reopened() const {
    State state;
    const auto log = SqliteLog::Open(path_, &state);
    if (!log) return tl::unexpected(log.error());
    return state;
  }

  void Sql(const char* statement) const {
    sqlite3* handle = nullptr;
    sqlite3_open(path_.c_str(), &handle);
    EXPECT_EQ(sqlite3_exec(handle, statement, nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }
  std::string Refusal() const {
    const auto state = Reopened();
    return state ? "" : state.error().Text();
  }

  const fs::path path_ = fs::path(testing::TempDir()) / "fleet.sqlite";
};

TEST_F(Log, FoldsToTheSameStateFromSnapshotAndFromTheBeginning) {
  const auto live = ToJson(Written());
  EXPECT_EQ(ToJson(Reopened().value()), live);
  Sql("DELETE FROM snapshots");
  EXPECT_EQ(ToJson(Reopened().value()), live);
}

TEST_F(Log, TellsItsEventsToReadersInOrderAndToTheLastBit) {
  Written();
  const std::vector<LoggedEvent> expected = Events();
  std::size_t n = 0;
  ASSERT_TRUE(SqliteLog::Read(path_, [&](std::int64_t number, const LoggedEvent& logged) {
    EXPECT_EQ(number, static_cast<std::int64_t>(n + 1));
    EXPECT_EQ(logged.at, expected.at(n).at);
    EXPECT_EQ(KindOf(logged.event), KindOf(expected.at(n).event));
    EXPECT_EQ(ToJson(logged.event), ToJson(expected.at(n).event));
    ++n;
  }));
  EXPECT_EQ(n, expected.size());
}

TEST_F(Log, ASecondHolderIsRefusedAndToldWhoIsFirst) {
  State state;
  const auto first = SqliteLog::Open(path_, &state);
  ASSERT_TRUE(first);
  EXPECT_THAT(
      Refusal(),
      HasSubstr("another coordinator holds this log (process " + std::to_string(::getpid())));
}

TEST_F(Log, RefusedEventsLeaveNoTrace) {
  State state;
  auto log = SqliteLog::Open(path_, &state);
  Keeper keeper(state, log->get());
  const auto results =
      keeper.Take({{1, Configured{{}, 2, {"u0"}, {"s0"}}}, {2, Joined{UserNode("nobody"), 1, ""}}});
  ASSERT_TRUE(results);
  EXPECT_EQ(results->at(1).verdict, Verdict::kUnknown);
  EXPECT_EQ(log->get()->events(), 1);
}

TEST_F(Log, AnEditedEventAMissingOneAndADamagedSnapshotAreNamed) {
  Written();
  Sql("DELETE FROM snapshots; UPDATE events SET body = replace(body, 'u0', 'u1') WHERE number = 5");
  EXPECT_THAT(Refusal(), HasSubstr("event 5: is missing, damaged or was edited"));
  fs::remove(path_);
  Written();
  Sql("DELETE FROM snapshots; DELETE FROM events WHERE number = 4");
  EXPECT_THAT(Refusal(), HasSubstr("event 4: is missing"));
  fs::remove(path_);
  Written();
  Sql("UPDATE snapshots SET body = replace(body, 'done', 'dome')");
  EXPECT_THAT(Refusal(), HasSubstr("snapshot at event"));
}

TEST_F(Log, WhatASnapshotStandsForIsCheckedToo) {
  for (const char* fault : {"UPDATE events SET body = replace(body, 'u0', 'u1') WHERE number = 5",
                            "UPDATE events SET at_ms = at_ms + 1 WHERE number = 5",
                            "DELETE FROM events WHERE number = 5",
                            "DELETE FROM events WHERE number >= 5"}) {
    fs::remove(path_);
    Written();
    Sql(fault);
    EXPECT_THAT(Refusal(), HasSubstr("event 5: is missing, damaged or was edited")) << fault;
  }
}

TEST_F(Log, AFolderInItsPlaceIsNamed) {
  fs::create_directories(path_);
  EXPECT_THAT(Refusal(), HasSubstr(path_.string()));
  fs::remove(path_);
}

TEST_F(Log, OtherFilesAndNewerFormatsAreNamedAndNotTouched) {
  std::ofstream(path_) << "these are not events\n" << std::string(5000, 'x');
  EXPECT_THAT(Refusal(), HasSubstr("is damaged, or no log of dashf's"));
  fs::remove(path_);
  Written();
  Sql("UPDATE about SET value = '7' WHERE key = 'format'");
  EXPECT_THAT(Refusal(), HasSubstr("is a log of format 7; this version of dashf reads format 6"));
  Sql("UPDATE about SET value = '5' WHERE key = 'format'; DELETE FROM snapshots;"
      "UPDATE events SET kind = 'teleported' WHERE number = 2");
  EXPECT_NE(Refusal(), "");
}

TEST_F(Log, ACutFileIsNamed) {
  Written();
  fs::resize_file(path_, fs::file_size(path_) / 2);
  EXPECT_NE(Refusal(), "");
}

}  // namespace
}  // namespace dashf::fleet
