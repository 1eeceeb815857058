// The pieces that the charts are drawn with. Internal to this module.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "report/html.h"

namespace dashf::report {

inline constexpr double kWidth = 560.0;

inline std::string OpenSvg(double width, double height, std::string_view title) {
  return fmt::format(
      R"(<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}"><title>{}</title>)",
      width,
      height,
      Escape(title),
      Escape(title));
}

inline std::string Line(double x1, double y1, double x2, double y2, std::string_view attributes) {
  return fmt::format(
      R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" {}/>)", x1, y1, x2, y2, attributes);
}

inline std::string Text(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format(
      R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)", x, y, anchor, Escape(text));
}

// The values with as few digits, `digits_min` or more, as tell each from its neighbours.
inline std::vector<std::string> TickLabels(const std::vector<double>& values, int digits_min) {
  constexpr int kDigitsMax = 17;  // More tell no two doubles apart.
  std::vector<std::string> labels;
  for (int digits = digits_min; digits <= kDigitsMax; ++digits) {
    labels.clear();
    for (const double value : values) labels.push_back(fmt::format("{:.{}g}", value, digits));
    if (std::ranges::adjacent_find(labels) == labels.end()) break;
  }
  return labels;
}

// A plot area with room for tick labels; maps data ranges onto it.
struct Frame {
  double low_x, high_x, low_y, high_y;
  double height = 300.0;

  static constexpr double kLeft = 64.0, kRight = 16.0, kTop = 12.0, kBottom = 42.0;
  double X(double x) const {
    return kLeft + (kWidth - kLeft - kRight) * (x - low_x) / (high_x - low_x);
  }
  double Y(double y) const {
    return height - kBottom - (height - kTop - kBottom) * (y - low_y) / (high_y - low_y);
  }
  double bottom() const { return height - kBottom; }
  std::string HorizontalTick(double y, std::string_view label) const {
    return Line(kLeft, Y(y), kWidth - kRight, Y(y), R"(class="grid")") +
           Text(kLeft - 6, Y(y) + 4, "end", label);
  }
  std::string VerticalTick(double x, std::string_view label) const {
    return Line(X(x), kTop, X(x), bottom(), R"(class="grid")") +
           Text(X(x), bottom() + 16, "middle", label);
  }
};

}  // namespace dashf::report
