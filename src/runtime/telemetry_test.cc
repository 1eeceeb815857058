#include "runtime/telemetry.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> LinesOf(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class TelemetryFile : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  Telemetry Open(const TelemetryLimits& limits) const {
    return Telemetry::Open(path_.string(), ServerNode("s0"), limits).value();
  }
  const fs::path folder_ = fs::path(testing::TempDir()) / "telemetry";
  const fs::path path_ = folder_ / "telemetry.jsonl";
};

TEST_F(TelemetryFile, IsFollowedByAnotherWhenFullAndTheOldestGoes) {
  const Telemetry telemetry = Open({.bytes_max = 4096, .files_max = 3});
  for (int i = 0; i < 400; ++i) telemetry.Write("counted", {{"i", i}});
  int next = 399;  // From the newest backwards, none is missing.
  for (const char* name : {"telemetry.jsonl", "telemetry.jsonl.1", "telemetry.jsonl.2"}) {
    EXPECT_LE(fs::file_size(folder_ / name), 4096U + 200U) << name;
    const auto lines = LinesOf(folder_ / name);
    for (auto line = lines.rbegin(); line != lines.rend(); ++line, --next) {
      EXPECT_EQ(nlohmann::json::parse(*line).at("i"), next);
    }
  }
  EXPECT_GT(next, 0);
  EXPECT_FALSE(fs::exists(folder_ / "telemetry.jsonl.3"));
}

TEST_F(TelemetryFile, OfSeveralWritersLosesNothingWhenOneOfThemFindsItFull) {
  const Telemetry a = Open({.bytes_max = 4096, .files_max = 100});
  const Telemetry b = Open({.bytes_max = 4096, .files_max = 100});
  const auto write = [](const Telemetry& telemetry, int from) {
    for (int i = from; i < from + 500; ++i) telemetry.Write("counted", {{"i", i}});
  };
  std::thread other([&] { write(b, 500); });
  write(a, 0);
  other.join();
  std::vector<bool> seen(1000);
  for (const auto& file : fs::directory_iterator(folder_)) {
    for (const std::string& line : LinesOf(file.path())) {
      seen[nlohmann::json::parse(line).at("i").get<std::size_t>()] = true;
    }
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 1000);
}

TEST_F(TelemetryFile, WithOneFileAloneBeginsAnew) {
  const Telemetry telemetry = Open({.bytes_max = 4096, .files_max = 1});
  for (int i = 0; i < 100; ++i) telemetry.Write("counted", {{"i", i}});
  EXPECT_LE(fs::file_size(path_), 4096U + 200U);
  EXPECT_THAT(LinesOf(path_).back(), HasSubstr("\"i\":99"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(TelemetryFile, ItsLastEventsAreInMemoryAfterARestart) {
  {
    const Telemetry before = Open({});
    for (int i = 0; i < 3; ++i) before.Write("counted", {{"i", i}});
  }
  Telemetry telemetry = Open({});
  const auto recent = telemetry.KeepRecent();
  telemetry.Write("counted", {{"i", 3}});
  const auto part = recent->From(1, 1 << 20, milliseconds(0));
  EXPECT_THAT(part.lines,
              ElementsAre(HasSubstr("\"i\":1"), HasSubstr("\"i\":2"), HasSubstr("\"i\":3")));
  EXPECT_EQ(part.next, 4U);
}

TEST(RecentLines, KeepsTheLatestAndWakesWhoFollows) {
  RecentLines recent;
  for (std::size_t i = 0; i < RecentLines::kLinesMax + 10; ++i) recent.Add(std::to_string(i));
  const auto all = recent.From(0, RecentLines::kBytesMax, milliseconds(0));
  EXPECT_THAT(all.lines, SizeIs(RecentLines::kLinesMax));
  EXPECT_EQ(all.lines.front(), "10");
  EXPECT_THAT(recent.From(all.next, 100, milliseconds(1)).lines, IsEmpty());
  std::thread writer([&recent] { recent.Add("news"); });
  EXPECT_THAT(recent.From(all.next, 100, milliseconds(60'000)).lines, ElementsAre("news"));
  writer.join();
  recent.Add(std::string(RecentLines::kBytesMax, 'x'));
  EXPECT_THAT(recent.From(0, 1, milliseconds(0)).lines, SizeIs(1));
  recent.Close();
  EXPECT_TRUE(recent.From(1'000'000, 1, milliseconds(60'000)).closed);
}

}  // namespace
}  // namespace dashf::runtime
