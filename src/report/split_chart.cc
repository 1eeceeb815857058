#include "report/split_chart.h"

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

std::string DrawSeries(const SplitSeries& series, const Frame& frame, int index, double shift) {
  const std::string colour = ServerColour(index);
  std::string curve, marks;
  for (const SplitSeries::Point& point : series.points) {
    const double x = frame.X(point.k) + shift;
    curve += fmt::format("{:.1f},{:.1f} ", x, frame.Y(point.lost));
    if (std::isfinite(point.half_width)) {
      marks += Line(x,
                    frame.Y(point.lost - point.half_width),
                    x,
                    frame.Y(point.lost + point.half_width),
                    fmt::format(R"(stroke="{}" stroke-width="1.5")", colour));
    }
    marks += fmt::format(
        R"(<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="{}"><title>{}, k = {}: {:.4f} +- {:.4f}</title></circle>)",
        x,
        frame.Y(point.lost),
        colour,
        Escape(series.name),
        point.k,
        point.lost,
        point.half_width);
  }
  return fmt::format(
             R"(<polyline points="{}" fill="none" stroke="{}" stroke-opacity="0.6" stroke-width="1.5"/>)",
             curve,
             colour) +
         marks;
}

}  // namespace

std::string SplitSvg(const std::string& title,
                     const std::string& y_label,
                     int layers,
                     const std::vector<SplitSeries>& series) {
  double low = 0.0, high = 0.0;
  bool any = false;
  for (const SplitSeries& one : series) {
    for (const SplitSeries::Point& point : one.points) {
      const double half = std::isfinite(point.half_width) ? point.half_width : 0.0;
      low = std::min(low, point.lost - half);
      high = std::max(high, point.lost + half);
      any = true;
    }
  }
  if (!any) return {};
  const double step = TickStep(std::max(high - low, 1e-6));
  low = std::floor(low / step) * step;
  high = std::max(std::ceil(high / step) * step, low + step);
  const Frame frame{-0.3, layers + 0.3, low, high, 340.0};
  const double height = frame.height + 22.0 + kLegendRow * static_cast<double>(series.size());
  std::string svg = OpenSvg(kWidth, height, title);
  svg.insert(4, R"( xmlns="http://www.w3.org/2000/svg")");  // After "<svg".
  svg += kStyle;
  const int ticks = static_cast<int>(std::lround((high - low) / step));
  for (int i = 0; i <= ticks; ++i) {
    const double y = low + i * step;
    svg += frame.HorizontalTick(y, fmt::format("{:.3g}", std::abs(y) < 1e-9 ? 0.0 : y));
  }
  for (int k = 0; k <= layers; ++k) svg += frame.VerticalTick(k, fmt::to_string(k));
  svg +=
      Line(frame.X(frame.low_x), frame.Y(0), frame.X(frame.high_x), frame.Y(0), R"(class="axis")");
  const auto count = static_cast<double>(series.size());
  for (std::size_t i = 0; i < series.size(); ++i) {
    // Side by side, so that the intervals of one k can be told apart.
    const double shift = 5.0 * (static_cast<double>(i) - (count - 1.0) / 2.0);
    const int index = static_cast<int>(i);
    svg += DrawSeries(series[i], frame, index, shift);
    const double y = frame.height + 12.0 + kLegendRow * static_cast<double>(i);
    svg += fmt::format(R"(<circle cx="{:.0f}" cy="{:.1f}" r="4" fill="{}"/>)",
                       Frame::kLeft + 6,
                       y,
                       ServerColour(index)) +
           Text(Frame::kLeft + 16, y + 4, "start", series[i].name);
  }
  return svg +
         Text(kWidth / 2,
              frame.height - 8,
              "middle",
              fmt::format("k, layers trained at the user (upwards: {})", y_label)) +
         "</svg>\n";
}

}  // namespace dashf::report
