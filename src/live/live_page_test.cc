#include "live/live_page.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "live/history.h"
#include "live/http_client.h"
#include "live/metrics.h"

namespace dashf::live {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using runtime::ServerNode;
using runtime::UserNode;
using testing::HasSubstr;
using testing::Not;
constexpr std::chrono::seconds kPatience(20);

RoundRecord RecordOf(std::uint32_t number) {
  RoundRecord record;
  record.number = number;
  record.model = "m";
  for (const char* id : {"u0", "u1"}) {
    UserRecord& user = record.users.emplace_back();
    user.id = id;
    user.layers = 4;
    user.local_layers = 1;
    user.server = "s0";
    user.predicted_s = {1.0, 2.0, 3.0, 4.0};
    user.measured_at_planned_s = {1.1, 2.0, 3.0, 4.0};
    user.before.loss = 2.0;
    user.after.loss = 2.0 - 0.1 * number;
  }
  record.users[1].failure = "its server <b>is</b> gone";
  record.servers = {{"s0", std::nullopt}};
  return record;
}

class Page : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("dashf_live_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    kit_.out_folder = folder_.string();
    kit_.log_path = (folder_ / "log").string();
    kit_.live.listen = "127.0.0.1:0";
    kit_.live.address_path = (folder_ / "address").string();
  }
  void TearDown() override {
    page_.reset();
    fs::remove_all(folder_);
  }
  void Start() {
    auto page = LivePage::Start(kit_);
    ASSERT_TRUE(page) << page.error().Text();
    page_ = std::move(*page);
    events_ = std::make_shared<runtime::RecentLines>();
  }
  void Write(std::uint32_t number) {
    const fs::path round = folder_ / "rounds" / ("000" + std::to_string(number));
    fs::create_directories(round);
    ASSERT_TRUE(WriteFileAtomically(round / "round.json", WriteRound(RecordOf(number))));
    WritePlan(round, 0.5);
  }
  static void WritePlan(const fs::path& round, double scr) {
    const ordered_json plan = {
        {"method", "prices"}, {"scr", scr}, {"status", {{"scr_upper", 1.25 * scr}, {"gap", 0.2}}}};
    ASSERT_TRUE(WriteFileAtomically(round / "plan.json", plan.dump()));
  }
  static fleet::RoundSummary Summary(std::uint32_t number) {
    return {number, 1000 * number, 1000 * number + 500, 1, 1, 0, 10.0, 10.1};
  }
  runtime::FleetSnapshot Fleet(const std::string& state) const {
    fleet::State known;
    known.users["u0"];
    known.servers["s0"];
    runtime::FleetSnapshot fleet;
    fleet.status = runtime::StatusOf(known);
    runtime::WatchedNode server;
    server.row.node = ServerNode("s0");
    server.row.state = state;
    server.position_m = {3.0, 4.0};
    runtime::WatchedNode user;
    user.row.node = UserNode("u0");
    user.row.state = "here";
    user.part.emplace();
    user.part->row.user = "u0";
    user.part->record = RecordOf(1).users[0];
    fleet.nodes = {server, user};
    return fleet;
  }
  void Show(const std::string& state) {
    page_->watch().show(std::make_shared<const runtime::FleetSnapshot>(Fleet(state)));
  }
  ordered_json Get(const std::string& target, int status = 200) {
    const auto client = HttpClient::At(page_->url(), "");
    const auto answer = client->Get(target, kPatience);
    EXPECT_TRUE(answer) << answer.error().Text();
    if (!answer) return {};
    EXPECT_EQ(answer->status, status) << target << answer->body;
    type_ = answer->type;
    text_ = answer->body;
    return ordered_json::parse(answer->body, nullptr, false);
  }
  void Begin(const std::vector<fleet::RoundSummary>& rounds) {
    page_->watch().begin({"a scenario", events_, rounds});
  }

  fs::path folder_;
  runtime::CoordinatorKit kit_;
  std::shared_ptr<runtime::RecentLines> events_;
  std::string type_, text_;
  std::unique_ptr<LivePage> page_;
};

TEST_F(Page, SaysThatTheCoordinatorStartsUntilThereIsAFleet) {
  Start();
  EXPECT_THAT(*ReadFile(kit_.live.address_path), testing::StartsWith("http://127.0.0.1:"));
  EXPECT_EQ(Get("/api/fleet", 503)["error"], "the coordinator is starting");
  Get("/");
  EXPECT_EQ(type_, "text/html; charset=utf-8");
  EXPECT_THAT(text_, HasSubstr("<script type=\"module\" src=\"/page.js\">"));
  EXPECT_THAT(text_, Not(testing::ContainsRegex("<script>|style=|onclick=")));
  Get("/nothing", 404);
  Get("/rounds/7");
  EXPECT_EQ(type_, "text/html; charset=utf-8");
  page_.reset();
  EXPECT_FALSE(fs::exists(kit_.live.address_path));
}

TEST_F(Page, ShowsTheFleetAndThenWhatHasChanged) {
  Start();
  Begin({});
  Show("here");
  const ordered_json fleet = Get("/api/fleet");
  EXPECT_EQ(fleet["schema"], "dashf.live/1");
  EXPECT_EQ(fleet["name"], "a scenario");
  ASSERT_EQ(fleet["nodes"].size(), 2U);
  EXPECT_EQ(fleet["nodes"][0]["node"], "server/s0");
  EXPECT_EQ(fleet["nodes"][0]["x_m"], 3.0);
  EXPECT_EQ(fleet["nodes"][1]["part"]["predicted_s"], ordered_json({1.0, 2.0, 3.0, 4.0}));
  const auto client = HttpClient::At(page_->url(), "");
  Show("gone");
  events_->Add(R"({"event":"node_lost","lost":"server/s0","pid":1})");
  std::map<std::string, ordered_json> heard;
  const auto done = client->Stream(
      "/events?after=" + fleet["id"].get<std::string>(), kPatience, [&](const auto& event) {
        heard[event.event] = ordered_json::parse(event.data);
        if (!heard.contains("changed")) Show("gone");  // The stream was not open the first time.
        return heard.size() < 2;
      });
  ASSERT_TRUE(done) << done.error().Text();
  EXPECT_EQ(heard["happened"]["lost"], "server/s0");
  ASSERT_EQ(heard["changed"]["nodes"].size(), 1U);  // The user has not.
  EXPECT_EQ(heard["changed"]["nodes"][0]["state"], "gone");
  events_->Close();
}

TEST_F(Page, ShowsRoundsWithPlanAndLossesAndEachUsersOwn) {
  for (std::uint32_t number : {1U, 2U, 3U}) Write(number);
  Start();
  Begin({Summary(1), Summary(2), Summary(3)});
  Show("here");
  const ordered_json page = Get("/api/rounds?limit=2");
  ASSERT_EQ(page["rounds"].size(), 2U);
  EXPECT_EQ(page["rounds"][0]["round"], 3);
  EXPECT_EQ(page["rounds"][0]["scr"], 0.5);
  EXPECT_EQ(page["rounds"][0]["scr_upper"], 0.625);
  EXPECT_DOUBLE_EQ(page["rounds"][0]["loss_after"], 1.7);  // Of the user that is done.
  EXPECT_EQ(page["next_before"], 2);
  EXPECT_EQ(Get("/api/rounds?before=2")["rounds"].size(), 1U);
  const ordered_json round = Get("/api/rounds/2");
  EXPECT_EQ(round["parts"][1]["reason"], "its server <b>is</b> gone");
  EXPECT_EQ(round["layers"], 4);
  EXPECT_EQ(Get("/api/users/u0")["rounds"].size(), 3U);
  EXPECT_EQ(Get("/api/users/nobody")["rounds"].size(), 0U);
  for (const char* none :
       {"/api/rounds/9", "/api/rounds/x", "/api/users/a.b", "/rounds/9/report"}) {
    Get(none, 404);
  }
  Get("/api/rounds?limit=0", 400);
  Get("/api/rounds?limit=-1", 400);
  Get("/api/rounds?other=1", 400);
  Write(4);
  page_->watch().round_ended(Summary(4));
  EXPECT_EQ(Get("/api/rounds")["rounds"][0]["scr"], 0.5);
  events_->Close();
}

TEST_F(Page, EndsWhileThereIsMoreToShow) {
  for (int i = 0; i < 20; ++i) {
    Start();
    Begin({});
    for (int shown = 0; shown < 500; ++shown) Show("here");
    events_->Close();
    page_.reset();
  }
  EXPECT_FALSE(fs::exists(kit_.live.address_path));
}

TEST_F(Page, CountsWhatItsProcessHasSeenAndNoEarlierOne) {
  Start();
  Begin({});
  Show("here");
  for (const int pid : {::getpid(), 1}) {
    events_->Add(
        R"({"event":"phase_finished","phase":"upload","elapsed_s":2.5,"bytes":1000,"failure":"","pid":)" +
        std::to_string(pid) + "}");
  }
  events_->Add(R"({"event":"planned","elapsed_s":0.2,"scr":0.5,"scr_upper":0.625,"pid":)" +
               std::to_string(::getpid()) + "}");
  events_->Close();
  while (Get("/api/fleet")["events"].size() < 3) {
  }
  page_->watch().round_ended(Summary(1));
  Get("/metrics");
  EXPECT_EQ(type_, Metrics::kPrometheusType);
  EXPECT_THAT(text_, HasSubstr("\ndashf_nodes{role=\"server\",state=\"never_seen\"} 1\n"));
  EXPECT_THAT(text_, HasSubstr("\ndashf_phase_duration_seconds_count{phase=\"upload\"} 1\n"));
  EXPECT_THAT(text_,
              HasSubstr("\ndashf_phase_duration_seconds_bucket{phase=\"upload\",le=\"3\"} 1\n"));
  EXPECT_THAT(text_, HasSubstr("\ndashf_transferred_bytes_total{direction=\"upload\"} 1000\n"));
  EXPECT_THAT(text_, HasSubstr("\ndashf_plan_gap_ratio 0.2\n"));
  EXPECT_THAT(text_, HasSubstr("\ndashf_rounds_total{result=\"failed\"} 1\n"));
}

// What docs/live.md says of it. DASHF_HOLD_PAGE names a file that gets the page's address, all
// rounds' files are there then, and it is served until that file is gone (bench/live_page.py).
TEST_F(Page, OfAThousandUsersAndRoundsIsReadInPieces) {
  constexpr int kUsers = 1000, kRounds = 1000;
  const char* hold = std::getenv("DASHF_HOLD_PAGE");
  const int written = hold == nullptr ? 25 : kRounds;
  RoundRecord record = RecordOf(1);
  const UserRecord one = record.users[0];
  record.users.clear();
  runtime::FleetSnapshot fleet = Fleet("here");
  const runtime::WatchedNode user = fleet.nodes[1];
  fleet.nodes.resize(1);
  for (int n = 0; n < kUsers; ++n) {
    record.users.push_back(one);
    fleet.nodes.push_back(user);
    fleet.nodes.back().row.node.id = record.users.back().id = "u" + std::to_string(n);
    fleet.nodes.back().row.sign.process = "process 4711 on edge" + std::to_string(n);
    fleet.nodes.back().part->row.user = record.users.back().id;
    fleet.nodes.back().part->row.server = "s0";
    fleet.nodes.back().position_m = {1.0 * (37 * n % 500), 1.0 * (91 * n % 400)};
  }
  std::vector<fleet::RoundSummary> rounds;
  for (std::uint32_t number = 1; number <= kRounds; ++number) {
    rounds.push_back(Summary(number));
    if (number + written <= kRounds) continue;  // The folders of others were deleted.
    char name[16];
    std::snprintf(name, sizeof name, "%04u", number);
    record.number = number;
    for (UserRecord& each : record.users) each.after.loss = 1.0 + 1.0 / number;
    fs::create_directories(folder_ / "rounds" / name);
    ASSERT_TRUE(WriteFileAtomically(folder_ / "rounds" / name / "round.json", WriteRound(record)));
    WritePlan(folder_ / "rounds" / name, 0.5 + 0.001 * (number % 7));
  }
  Start();
  Begin(rounds);
  const auto timed = [this](const std::string& target) {
    const std::clock_t begun = std::clock();
    const ordered_json answer = Get(target);
    const double cpu_ms = 1e3 * static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    std::printf(
        "%s: %zu kB, %.0f ms of processor time\n", target.c_str(), text_.size() / 1000, cpu_ms);
    return answer;
  };
  page_->watch().show(std::make_shared<const runtime::FleetSnapshot>(fleet));
  if (hold != nullptr) {
    ASSERT_TRUE(WriteFileAtomically(hold, page_->url()));
    while (fs::exists(hold)) ::usleep(100'000);
    events_->Close();
    return;
  }
  EXPECT_EQ(timed("/api/fleet")["nodes"].size(), kUsers + 1U);
  timed("/api/fleet");
  EXPECT_EQ(timed("/api/rounds?limit=1000")["rounds"].size(), 1000U);
  EXPECT_EQ(timed("/api/rounds/1000")["parts"].size(), 1000U);
  EXPECT_GE(timed("/api/users/u7")["rounds"].size(), 20U);
  timed("/metrics");
}

TEST_F(Page, ATokenIsALineOfSomeLength) {
  kit_.live.token_path = (folder_ / "token").string();
  EXPECT_FALSE(LivePage::Start(kit_));
  for (const char* unsound : {"", "short\n", "with a blank in it\n", "abcdefgh12345678\nmore\n"}) {
    ASSERT_TRUE(WriteFileAtomically(kit_.live.token_path, unsound));
    const auto page = LivePage::Start(kit_);
    ASSERT_FALSE(page);
    EXPECT_EQ(page.error().kind, ErrorKind::kBadInput);
  }
  ASSERT_TRUE(WriteFileAtomically(kit_.live.token_path, "abcdefgh12345678\n"));
  Start();
  EXPECT_EQ(HttpClient::At(page_->url(), "")->Get("/metrics", kPatience)->status, 401);
  EXPECT_EQ(HttpClient::At(page_->url(), "abcdefgh12345678")->Get("/metrics", kPatience)->status,
            200);
}

TEST(History, RemembersSoManyPartsOfTheLatestRounds) {
  const fs::path folder =
      fs::temp_directory_path() / ("dashf_history_" + std::to_string(::getpid()));
  History history(folder, 4);
  for (std::uint32_t number = 1; number <= 3; ++number) {
    const fs::path round = folder / ("000" + std::to_string(number));
    fs::create_directories(round);
    ASSERT_TRUE(WriteFileAtomically(round / "round.json", WriteRound(RecordOf(number))));
    history.Add({number, 0, 0, 1, 1, 0, {}, {}});
  }
  EXPECT_EQ(history.ReadOne(), 3U);
  EXPECT_EQ(history.ReadOne(), 2U);
  EXPECT_EQ(history.ReadOne(), 1U);
  EXPECT_EQ(history.ReadOne(), std::nullopt);
  EXPECT_EQ(history.User("u0").size(), 2U);
  EXPECT_TRUE(history.Row(1)["loss_after"].is_number());
  EXPECT_TRUE(history.Row(1)["scr"].is_null());
  EXPECT_TRUE(history.Row(4).is_null());
  fs::remove_all(folder);
}

}  // namespace
}  // namespace dashf::live
