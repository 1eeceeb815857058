#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/file.h"
#include "loadtest/load.h"
#include "round/round_record.h"

namespace dashf::loadtest {
namespace {

namespace fs = std::filesystem;

class LoadOfLightNodes : public testing::Test {
 protected:
  LoadOfLightNodes() {
    load_.users = 12;
    load_.servers = 3;
    load_.rounds = 2;
    load_.method = "greedy";
    load_.program = DASHF_BINARY;
    load_.folder = fs::path(testing::TempDir()) / "load";
    load_.time_limit_s = 120.0;
    fs::remove_all(load_.folder);
  }

  Load load_;
  std::function<void(const std::string&)> say_ = [](const std::string&) {};
};

TEST_F(LoadOfLightNodes, EveryUserOfEveryRoundIsDoneAndTheFiguresAreOfThoseRounds) {
  const auto figures = Measure(load_, say_);
  ASSERT_TRUE(figures.has_value()) << figures.error().Text();
  EXPECT_EQ(figures->broken_sessions, 0U);
  EXPECT_GT(figures->memory_bytes, std::uint64_t{1} << 20);
  EXPECT_GT(figures->descriptors, 15U);  // One per node, at least.
  EXPECT_GT(figures->log_bytes, 100.0);
  EXPECT_GT(figures->restart_s, 0.0);
  EXPECT_GE(figures->round_s, figures->plan_s);
  for (const char* round : {"0001", "0002"}) {
    const fs::path path = load_.folder / "rounds-out/rounds" / round / "round.json";
    const auto text = ReadFile(path);
    ASSERT_TRUE(text.has_value()) << text.error().Text();
    const auto record = ParseRound(path.string(), *text);
    ASSERT_TRUE(record.has_value()) << record.error().Text();
    EXPECT_EQ(record->users.size(), 12U);
    EXPECT_TRUE(record->Done());
    EXPECT_EQ(record->users.front().after.loss, 1.0);
  }
}

TEST_F(LoadOfLightNodes, AFolderWithAnEarlierMeasurementIsLeftAlone) {
  fs::create_directories(load_.folder);
  std::ofstream(load_.folder / "fleet.log") << "another's";
  const auto figures = Measure(load_, say_);
  ASSERT_FALSE(figures.has_value());
  EXPECT_EQ(figures.error().kind, ErrorKind::kIo);
  EXPECT_EQ(*ReadFile(load_.folder / "fleet.log"), "another's");
}

TEST_F(LoadOfLightNodes, AnUnknownMethodEndsItWhereTheCoordinatorsWordsAre) {
  load_.method = "magic";
  const auto figures = Measure(load_, say_);
  ASSERT_FALSE(figures.has_value());
  EXPECT_NE(figures.error().Text().find("exit 3"), std::string::npos) << figures.error().Text();
  EXPECT_NE(ReadFile(load_.folder / "messages")->find("got 'magic'"), std::string::npos);
}

}  // namespace
}  // namespace dashf::loadtest
