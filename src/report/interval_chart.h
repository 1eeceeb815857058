// Means with their confidence intervals over something that was varied, as a picture of its own: an
// SVG file that brings its colours along.
#pragma once

#include <string>
#include <vector>

namespace dashf::report {

struct IntervalSeries {
  std::string name;
  struct Point {
    int tick = 0;  // Index into IntervalChart::ticks.
    double mean = 0.0;
    double half_width = 0.0;  // Of the confidence interval; not drawn if it is infinite.
  };
  std::vector<Point> points;
};

struct IntervalChart {
  std::string title;
  std::string x_label, y_label;
  std::vector<std::string> ticks;  // The values that were varied, evenly spaced.
  bool with_zero = true;           // The zero line is in the picture, wherever the points are.
  std::vector<IntervalSeries> series;
};

// Up to eight series have colours of their own. Text is escaped. Empty without points.
std::string IntervalSvg(const IntervalChart& chart);

}  // namespace dashf::report
