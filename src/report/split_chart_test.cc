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
  const auto drawn = [](double half_width) {
    return SplitSvg("t", "nat", 2, {{"a", {{1.0, 0.5, half_width}}}});
  };
  const std::string interval = R"(stroke="#0072b2" stroke-width="1.5")";
  EXPECT_THAT(drawn(0.25), HasSubstr(interval));
  EXPECT_THAT(drawn(infinite), Not(HasSubstr(interval)));
  EXPECT_THAT(drawn(infinite), Not(HasSubstr("\"inf")));
  EXPECT_THAT(drawn(infinite), Not(HasSubstr("\"nan")));
}

TEST(SplitChart, IsEmptyWithoutPoints) {
  EXPECT_EQ(SplitSvg("t", "nat", 2, {{"a", {}}}), "");
}

}  // namespace
}  // namespace dashf::report
