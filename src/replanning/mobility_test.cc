#include "replanning/mobility.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/file.h"
#include "sweep/design.h"

namespace dashf::replanning {
namespace {

using ::testing::HasSubstr;

constexpr Area kSquare{{0.0, 0.0}, {100.0, 100.0}};

double Distance(const Position& a, const Position& b) {
  return std::hypot(a.x_m - b.x_m, a.y_m - b.y_m);
}

TEST(RandomWaypoint, StaysInTheAreaAndMovesAtMostSpeedTimesTime) {
  const Walk walk{.speed_m_per_s_min = 1.0, .speed_m_per_s_max = 3.0, .round_s = 20.0};
  const std::vector<Position> start = {{0.0, 0.0}, {100.0, 50.0}, {33.0, 99.0}};
  const Paths paths = RandomWaypoint(start, kSquare, walk, 200, Rng(1));
  ASSERT_EQ(paths.size(), 200U);
  double farthest_m = 0.0;
  for (std::size_t round = 0; round < paths.size(); ++round) {
    for (std::size_t n = 0; n < start.size(); ++n) {
      const Position& at = paths[round][n];
      EXPECT_TRUE(at.x_m >= 0.0 && at.x_m <= 100.0 && at.y_m >= 0.0 && at.y_m <= 100.0);
      const double way_m = Distance(at, round == 0 ? start[n] : paths[round - 1][n]);
      EXPECT_LE(way_m, round == 0 ? 0.0 : 60.0 * (1.0 + 1e-12));
      farthest_m = std::max(farthest_m, way_m);
    }
  }
  EXPECT_GT(farthest_m, 40.0);  // Some go straight for a whole round.
}

// A road of length 1000: the way within a round is the speed times its time wherever no waypoint
// was reached, and at a single speed never less than 0 or more than that.
TEST(RandomWaypoint, AtOneSpeedAStraightWayIsAsLongAsItsTime) {
  const Walk walk{.speed_m_per_s_min = 2.0, .speed_m_per_s_max = 2.0, .round_s = 1.0};
  const Paths paths =
      RandomWaypoint({{500.0, 0.0}}, {{0.0, 0.0}, {1000.0, 0.0}}, walk, 1000, Rng(3));
  int straight = 0;
  for (std::size_t round = 1; round < paths.size(); ++round) {
    const double way_m = Distance(paths[round][0], paths[round - 1][0]);
    EXPECT_LE(way_m, 2.0 + 1e-9);
    straight += std::abs(way_m - 2.0) < 1e-9;
  }
  // A way is 333 m on average, 167 rounds: about six in all end in mid-round.
  EXPECT_GT(straight, 950);
}

TEST(RandomWaypoint, NobodyMovesAtSpeedZeroOrWhereThereIsOnlyOnePlace) {
  const Walk still{.speed_m_per_s_min = 0.0, .speed_m_per_s_max = 0.0};
  for (const auto& at : RandomWaypoint({{1.0, 2.0}}, kSquare, still, 5, Rng(1))) {
    EXPECT_EQ(at[0].x_m, 1.0);
  }
  const Paths point = RandomWaypoint({{7.0, 7.0}}, {{7.0, 7.0}, {7.0, 7.0}}, Walk{}, 5, Rng(1));
  EXPECT_EQ(point[4][0].y_m, 7.0);
}

TEST(RandomWaypoint, OneMoreUserMovesNoOtherAndOneMoreRoundNoEarlierOne) {
  const Paths one = RandomWaypoint({{1.0, 2.0}}, kSquare, Walk{}, 5, Rng(4));
  const Paths two = RandomWaypoint({{1.0, 2.0}, {50.0, 50.0}}, kSquare, Walk{}, 9, Rng(4));
  for (std::size_t round = 0; round < one.size(); ++round) {
    EXPECT_EQ(one[round][0].x_m, two[round][0].x_m);
  }
}

class Traces : public ::testing::Test {
 protected:
  Traces() {
    sweep::StudySettings study;
    study.users = 2;
    scenario_ = *sweep::Generate(study, 1);
  }
  Expected<Paths> Read(std::string_view text, int rounds = 2) const {
    EXPECT_TRUE(WriteFileAtomically(path_, text));
    const auto trace = ReadTrace(path_);
    if (!trace) return tl::unexpected(trace.error());
    return PathsOf(*trace, scenario_, rounds);
  }
  std::string Refusal(std::string_view text) const {
    const auto paths = Read(text);
    if (paths) return "taken";
    EXPECT_EQ(paths.error().kind, ErrorKind::kBadInput);
    return paths.error().Text();
  }

  const std::string path_ = ::testing::TempDir() + "/trace.csv";
  Scenario scenario_;
};

TEST_F(Traces, AreTakenInAnyOrderOfRowsAndColumns) {
  const auto paths =
      Read("user,y_m,round,x_m\nu1,4,1,3\nu0,2,1,1\nu0,-6,2,5\nu1,8,2,7\nu0,9,3,9\n");
  ASSERT_TRUE(paths) << paths.error().Text();
  EXPECT_EQ((*paths)[0][0].x_m, 1.0);
  EXPECT_EQ((*paths)[0][1].y_m, 4.0);
  EXPECT_EQ((*paths)[1][0].y_m, -6.0);
  EXPECT_EQ((*paths)[1][1].x_m, 7.0);
}

TEST_F(Traces, WithAGapAreRefusedWhereItBegins) {
  const std::string said = Refusal("round,user,x_m,y_m\n1,u0,1,2\n1,u1,3,4\n2,u0,1,2\n");
  EXPECT_THAT(said, HasSubstr("trace.csv:3: user u1 must have a place in every round up to 2"));
  EXPECT_THAT(said, HasSubstr("none in round 2"));
  EXPECT_THAT(Refusal("round,user,x_m,y_m\n2,u0,1,2\n"), HasSubstr("user u0 must have a place"));
}

TEST_F(Traces, WithOtherFaultsAreRefusedByLine) {
  const std::string header = "round,user,x_m,y_m\n";
  EXPECT_THAT(Refusal(header + "1,u0,1,2\n1,u7,3,4\n"),
              HasSubstr("trace.csv:3: the scenario has no user \"u7\"; its users are u0 to u1"));
  EXPECT_THAT(Refusal(header + "1,u0,1,2\n1,u0,3,4\n"),
              HasSubstr("trace.csv:3: user u0 has a place in round 1 already, at "));
  EXPECT_THAT(Refusal(header + "0,u0,1,2\n"), HasSubstr("trace.csv:2:1: a round must be"));
  EXPECT_THAT(Refusal(header + "1.5,u0,1,2\n"), HasSubstr("whole number"));
  EXPECT_THAT(Refusal(header + "1,u0,east,2\n"), HasSubstr("trace.csv:2:6"));
  EXPECT_THAT(Refusal(header + "1,u0,1,1e300\n"),
              HasSubstr("trace.csv:2:8: y_m must be from -2e+07 to 2e+07 m, got 1e300"));
  EXPECT_THAT(Refusal(header + "1,u0,1\n"), HasSubstr("must have 4 fields as the header has"));
  EXPECT_THAT(Refusal("round,user,x,y\n1,u0,1,2\n"), HasSubstr("has no \"x_m\""));
  EXPECT_THAT(Refusal(""), HasSubstr("is empty"));
  EXPECT_EQ(ReadTrace("/nowhere/trace.csv").error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace dashf::replanning
