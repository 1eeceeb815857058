#include "runtime/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/telemetry.h"

namespace dashf::runtime {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr char kTime[] = "20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-9:]+[.][0-9][0-9][0-9]Z";

class LogOfAUser : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::pipe2(ends_, O_NONBLOCK), 0); }
  void TearDown() override {
    for (const int end : ends_) ::close(end);
  }
  Log Open(const LogOptions& options = {}) const { return {options, "user/u3", ends_[1]}; }
  std::string Read() const {
    std::string text(1 << 20, '\0');
    const ssize_t got = ::read(ends_[0], text.data(), text.size());
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }
  int ends_[2];
};

TEST_F(LogOfAUser, HasALineForPeoplePerEventWithItsLevelAboveInfo) {
  const Log log = Open();
  log.Info("rounds", "round 1: upload", {{"round", 1}});
  EXPECT_THAT(Read(), MatchesRegex(std::string(kTime) + " user/u3 rounds: round 1: upload\n"));
  log.Warning("session", "the coordinator is away");
  const std::string line = Read();
  EXPECT_THAT(
      line,
      MatchesRegex(std::string(kTime) + " user/u3 session: warning: the coordinator is away\n"));
  EXPECT_EQ(MessageOf(line), "warning: the coordinator is away\n");
  EXPECT_EQ(MessageOf("dashf: out of memory"), "dashf: out of memory");
}

TEST_F(LogOfAUser, IsJsonWithTheFieldsOfAnEventBesideWhatEveryEventHas) {
  const Log log = Open({.format = LogFormat::kJson});
  log.Info("rounds", "round 1: upload", {{"round", 1}, {"phase", "upload"}, {"level", "mine"}});
  const auto line = ordered_json::parse(Read());
  EXPECT_THAT(line.at("time").get<std::string>(), MatchesRegex(kTime));
  std::vector<std::string> keys;
  for (const auto& [key, value] : line.items()) keys.push_back(key);
  EXPECT_EQ(keys,
            (std::vector<std::string>{
                "time", "level", "node", "component", "message", "round", "phase"}));
  EXPECT_EQ(line.at("level"), "info");
  EXPECT_EQ(line.at("node"), "user/u3");
  EXPECT_EQ(line.at("component"), "rounds");
  EXPECT_EQ(line.at("message"), "round 1: upload");
  EXPECT_EQ(line.at("round"), 1);
}

TEST_F(LogOfAUser, LeavesOutWhatIsBelowItsLevel) {
  const Log log = Open({.level = LogLevel::kWarning});
  log.Write(LogLevel::kDebug, "telemetry", "joined");
  log.Info("session", "here");
  EXPECT_EQ(Read(), "");
  EXPECT_FALSE(log.Shows(LogLevel::kInfo));
  log.Warning("session", "away");
  log.Write(LogLevel::kError, "process", "ended");
  EXPECT_THAT(Read(), AllOf(HasSubstr("warning: away\n"), HasSubstr("error: ended\n")));
}

TEST_F(LogOfAUser, HasTelemetryAmongWhatItDebugs) {
  const auto telemetry = Telemetry::Open("", UserNode("u3"), {}, Open({.level = LogLevel::kDebug}));
  telemetry->Write("phase_started", {{"round", 7}, {"phase", "local"}});
  EXPECT_THAT(
      Read(),
      HasSubstr("user/u3 telemetry: debug: phase_started {\"round\":7,\"phase\":\"local\"}\n"));
  const auto silent = Telemetry::Open("", UserNode("u3"), {}, Open());
  silent->Write("phase_started", {{"round", 7}});
  EXPECT_EQ(Read(), "");
}

TEST_F(LogOfAUser, ShowsControlCharactersOfWhatItQuotesAndStaysALine) {
  for (const LogFormat format : {LogFormat::kLines, LogFormat::kJson}) {
    Open({.format = format})
        .Warning("transfer", "said: \x1b[2J\na\xff", {{"reason", "\x1b\n\xff"}});
    const std::string line = Read();
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    EXPECT_EQ(line.find('\xff'), std::string::npos);
  }
}

TEST_F(LogOfAUser, WaitsForNoReaderAndSaysHowMuchItMissed) {
  const Log log = Open({.format = LogFormat::kJson});
  const std::string text(1000, 'x');
  for (int i = 0; i < 200; ++i) log.Info("rounds", text, {{"i", i}});  // A pipe has 64 KiB.
  const std::string first = Read();
  const auto lines = static_cast<std::size_t>(std::ranges::count(first, '\n'));
  EXPECT_GT(lines, 10U);
  EXPECT_LT(lines, 200U);
  EXPECT_EQ(first.back(), '\n');
  log.Info("rounds", "again");
  const std::string second = Read();
  const auto told = ordered_json::parse(second.substr(0, second.find('\n')));
  EXPECT_EQ(told.at("level"), "warning");
  EXPECT_EQ(told.at("lost"), 200 - lines);
  EXPECT_EQ(ordered_json::parse(second.substr(second.find('\n'))).at("message"), "again");
}

TEST_F(LogOfAUser, OutlivesItsReader) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);  // As the verbs have it.
  ::close(ends_[0]);
  Open().Info("rounds", "to nobody");
  ends_[0] = ::open("/dev/null", O_RDONLY);
  std::signal(SIGPIPE, before);
}

TEST_F(LogOfAUser, LeavesTheTimeToTheJournalAndTellsItHowBadItIs) {
  struct stat own {};
  ASSERT_EQ(::fstat(ends_[1], &own), 0);
  const std::string stream = std::to_string(own.st_dev) + ":" + std::to_string(own.st_ino);
  ASSERT_EQ(::setenv("JOURNAL_STREAM", stream.c_str(), 1), 0);
  const Log log = Open();
  ::unsetenv("JOURNAL_STREAM");
  log.Info("session", "here");
  log.Warning("session", "away");
  EXPECT_EQ(Read(), "<6>user/u3 session: here\n<4>user/u3 session: warning: away\n");
  Open().Info("session", "here");  // Of another process' journal.
  EXPECT_THAT(Read(), StartsWith("20"));
}

}  // namespace
}  // namespace dashf::runtime
