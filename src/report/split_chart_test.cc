#include "report/split_chart.h"

#include <gmock/gmock.h>

#include <limits>

namespace dashf::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SplitChart, StandsAloneAndShowsWhatItIsGiven) {
  const std::string svg = SplitSvg("Loss & split", "nat", 2, {{"a<b", {{1.0, 0.5, 0.25}}}});
  EXPECT_THAT(svg, HasSubstr(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox=)"));
  EXPECT_THAT(svg, HasSubstr("Loss &amp; split"));
  EXPECT_THAT(svg, HasSubstr("a&lt;b, k = 1: 0.5000 +- 0.2500"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

// An interval of one value is the whole line, which no picture holds.
TEST(SplitChart, LeavesOutAnInfiniteInterval) {
  const double infinite = std::numeric_limits<double>::infinity();
  const std::string svg = SplitSvg("t", "nat", 2, {{"a", {{1.0, 0.5, infinite}}}});
  EXPECT_THAT(svg, Not(HasSubstr(R"(stroke-width="1.5"/><circle)")));
  EXPECT_THAT(svg, Not(HasSubstr("y1=\"inf")));
  EXPECT_THAT(svg, Not(HasSubstr("y1=\"nan")));
}

TEST(SplitChart, IsEmptyWithoutPoints) {
  EXPECT_EQ(SplitSvg("t", "nat", 2, {{"a", {}}}), "");
}

}  // namespace
}  // namespace dashf::report
