// What `dashf study rounds` says: report.md, the table that it prints, and its figure.
#pragma once

#include <string>
#include <vector>

#include "replanning/results.h"
#include "replanning/summary.h"

namespace dashf::cli {

// Markdown: what world it was, a table, and in plain sentences what differs.
std::string RoundsReport(const replanning::Design& design,
                         const std::vector<replanning::PolicySummary>& rows);
// The SCR lost to the first policy over blocks of rounds; empty where there is none to compare.
std::string RoundsSvg(const replanning::Design& design,
                      const std::vector<replanning::PolicySummary>& rows);

}  // namespace dashf::cli
