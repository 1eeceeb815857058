#include "report/interval_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html.h"
#include "report/svg.h"

namespace dashf::report {
namespace {

// Neutral on white and on dark pages alike.
constexpr std::string_view kStyle =
    "<style>text{font:12px system-ui,sans-serif;fill:#6b7684}.grid{stroke:#8a94a2;"
    "stroke-opacity:.3}.axis{stroke:#6b7684;stroke-width:1.5}</style>";
constexpr double kLegendRow = 18.0;

// A step of 1, 2 or 5 times a power of ten that divides the span into four to ten.
double TickStep(double span) {
  const double power = std::pow(10.0, std::floor(std::log10(span / 4.0)));
  for (const double step : {5.0, 2.0}) {
    if (step * power <= span / 4.0) return step * power;
  }
  return power;
}

std::string DrawSeries(const IntervalChart& chart, const Frame& frame, int index, double shift) {
  const IntervalSeries& series = chart.series[static_cast<std::size_t>(index)];
  const std::string colour = ServerColour(index);
  std::string curve, marks;
  for (const IntervalSeries::Point& point : series.points) {
    const double x = frame.X(point.tick) + shift;
    curve += fmt::format("{:.1f},{:.1f} ", x, frame.Y(point.mean));
    if (std::isfinite(point.half_width)) {
      marks += Line(x,
                    frame.Y(point.mean - point.half_width),
                    x,
                    frame.Y(point.mean + point.half_width),
                    fmt::format(R"(stroke="{}" stroke-width="1.5")", colour));
    }
    marks += fmt::format(
        R"(<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="{}"><title>{}, {}: {:.4g} +- {:.2g}</title></circle>)",
        x,
        frame.Y(point.mean),
        colour,
        Escape(series.name),
        Escape(chart.ticks[static_cast<std::size_t>(point.tick)]),
        point.mean,
        point.half_width);
  }
  return fmt::format(
             R"(<polyline points="{}" fill="none" stroke="{}" stroke-opacity="0.6" stroke-width="1.5"/>)",
             curve,
             colour) +
         marks;
}

struct Range {
  double low = 0.0, high = 0.0;
  bool any = false;

  void Hold(double value) {
    low = any ? std::min(low, value) : value;
    high = any ? std::max(high, value) : value;
    any = true;
  }
};

Range RangeOf(const IntervalChart& chart) {
  Range range;
  for (const IntervalSeries& one : chart.series) {
    for (const IntervalSeries::Point& point : one.points) {
      const double half = std::isfinite(point.half_width) ? point.half_width : 0.0;
      range.Hold(point.mean - half);
      range.Hold(point.mean + half);
    }
  }
  if (range.any && chart.with_zero) range.Hold(0.0);
  return range;
}

}  // namespace

std::string IntervalSvg(const IntervalChart& chart) {
  const Range range = RangeOf(chart);
  if (!range.any) return {};
  const double least = 1e-6 * std::max(1.0, std::abs(range.high));
  const double step = TickStep(std::max(range.high - range.low, least));
  const double low = std::floor(range.low / step) * step;
  const double high = std::max(std::ceil(range.high / step) * step, low + step);
  const auto last = static_cast<double>(chart.ticks.size()) - 1.0;
  const Frame frame{-0.3, last + 0.3, low, high, 340.0};
  const auto count = static_cast<double>(chart.series.size());
  const double height = frame.height + 22.0 + kLegendRow * count;
  std::string svg = OpenSvg(kWidth, height, chart.title);
  svg.insert(4, R"( xmlns="http://www.w3.org/2000/svg")");  // After "<svg".
  svg += kStyle;
  const int ticks = static_cast<int>(std::lround((high - low) / step));
  std::vector<double> levels;
  for (int i = 0; i <= ticks; ++i) {
    const double y = low + i * step;
    levels.push_back(std::abs(y) < 1e-9 * step ? 0.0 : y);
  }
  const std::vector<std::string> labels = TickLabels(levels, 3);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    svg += frame.HorizontalTick(levels[i], labels[i]);
  }
  for (std::size_t i = 0; i < chart.ticks.size(); ++i) {
    svg += frame.VerticalTick(static_cast<double>(i), chart.ticks[i]);
  }
  const double base = low <= 0.0 && high >= 0.0 ? 0.0 : low;
  svg += Line(
      frame.X(frame.low_x), frame.Y(base), frame.X(frame.high_x), frame.Y(base), R"(class="axis")");
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    // Side by side, so that the intervals at one value can be told apart.
    const double shift = 5.0 * (static_cast<double>(i) - (count - 1.0) / 2.0);
    const int index = static_cast<int>(i);
    svg += DrawSeries(chart, frame, index, shift);
    const double y = frame.height + 12.0 + kLegendRow * static_cast<double>(i);
    svg += fmt::format(R"(<circle cx="{:.0f}" cy="{:.1f}" r="4" fill="{}"/>)",
                       Frame::kLeft + 6,
                       y,
                       ServerColour(index)) +
           Text(Frame::kLeft + 16, y + 4, "start", chart.series[i].name);
  }
  return svg +
         Text(kWidth / 2,
              frame.height - 8,
              "middle",
              fmt::format("{} (upwards: {})", chart.x_label, chart.y_label)) +
         "</svg>\n";
}

}  // namespace dashf::report
