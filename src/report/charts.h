// Inline SVG, complete in itself: the map and the two charts of the report. Text is escaped;
// colours that follow the page's light or dark look come from its style sheet (classes "axis",
// "grid", ...).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/termination.h"
#include "report/run_directory.h"

namespace dashf::report {

// Users (discs) in the colour of their server (squares), a line for every link in use, ids, a
// scale. Users whose round failed are hollow.
std::string MapSvg(const RunDirectory& run);

// The incumbent's SCR over the planner's iterations; empty for fewer than two finite values.
std::string HistorySvg(const std::vector<IterationRecord>& history);

struct PhasePoint {
  std::string label;  // "u3 upload".
  int phase = 0;      // 0..3: local, upload, server, download.
  double predicted_s = 0.0;
  double measured_s = 0.0;
};
inline constexpr std::string_view kPhaseNames[] = {"local", "upload", "server", "download"};

// Predicted against measured seconds, both axes logarithmic, with the diagonal where they agree and
// a band of 15 % around it. Points must be positive; empty without points.
std::string PhasesSvg(const std::vector<PhasePoint>& points);

}  // namespace dashf::report
