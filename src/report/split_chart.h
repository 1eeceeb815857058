// What a split costs in quality, as a picture of its own: an SVG file that brings its colours
// along.
#pragma once

#include <string>
#include <vector>

namespace dashf::report {

struct SplitSeries {
  std::string name;
  struct Point {
    double k = 0.0;
    double lost = 0.0;
    double half_width = 0.0;  // Of the confidence interval; not drawn if it is infinite.
  };
  std::vector<Point> points;
};

// Lost quality over the number of layers trained at the user, 0..layers, with the zero line where
// nothing is lost. Up to eight series have colours of their own. Text is escaped. Empty without
// points.
std::string SplitSvg(const std::string& title,
                     const std::string& y_label,
                     int layers,
                     const std::vector<SplitSeries>& series);

}  // namespace dashf::report
