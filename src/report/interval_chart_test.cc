#include "report/interval_chart.h"

#include <gmock/gmock.h>

#include <limits>

#include "report/svg.h"

namespace dashf::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

IntervalChart ChartOf(const std::string& name, double mean, double half_width) {
  return {.title = "Loss & split",
          .x_label = "k",
          .y_label = "nat",
          .ticks = {"0", "1 < 2"},
          .series = {{name, {{1, mean, half_width}}}}};
}

TEST(IntervalChart, StandsAloneAndShowsWhatItIsGiven) {
  const std::string svg = IntervalSvg(ChartOf("a<b", 0.5, 0.25));
  EXPECT_THAT(svg, HasSubstr(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox=)"));
  EXPECT_THAT(svg, HasSubstr("Loss &amp; split"));
  EXPECT_THAT(svg, HasSubstr("a&lt;b, 1 &lt; 2: 0.5 +- 0.25"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

// An interval of one value is the whole line, which no picture holds.
TEST(IntervalChart, LeavesOutAnInfiniteInterval) {
  const double infinite = std::numeric_limits<double>::infinity();
  const auto drawn = [](double half_width) { return IntervalSvg(ChartOf("a", 0.5, half_width)); };
  const std::string interval = R"(stroke="#0072b2" stroke-width="1.5")";
  EXPECT_THAT(drawn(0.25), HasSubstr(interval));
  EXPECT_THAT(drawn(infinite), Not(HasSubstr(interval)));
  EXPECT_THAT(drawn(infinite), Not(HasSubstr("\"inf")));
  EXPECT_THAT(drawn(infinite), Not(HasSubstr("\"nan")));
}

TEST(IntervalChart, HasZeroInItWhereThatIsAskedFor) {
  IntervalChart chart = ChartOf("a", 0.55, 0.05);
  EXPECT_THAT(IntervalSvg(chart), HasSubstr(">0</text>"));
  chart.with_zero = false;
  chart.ticks = {"8", "9"};
  EXPECT_THAT(IntervalSvg(chart), Not(HasSubstr(">0</text>")));
}

TEST(TickLabels, HaveAsManyDigitsAsTellThemApart) {
  EXPECT_EQ(TickLabels({0.5, 1.0}, 3), (std::vector<std::string>{"0.5", "1"}));
  EXPECT_EQ(TickLabels({1.090151, 1.090152, 1.090153}, 4),
            (std::vector<std::string>{"1.090151", "1.090152", "1.090153"}));
  EXPECT_EQ(TickLabels({1.0, 1.0}, 4).size(), 2u);
}

TEST(IntervalChart, IsEmptyWithoutPoints) {
  IntervalChart chart = ChartOf("a", 0.0, 0.0);
  chart.series[0].points.clear();
  EXPECT_EQ(IntervalSvg(chart), "");
}

}  // namespace
}  // namespace dashf::report
