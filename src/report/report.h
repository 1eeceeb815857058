// One self-contained HTML page about a run: no script, no network, light or dark as the reader's
// browser asks. Reads the run directory's files alone.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace dashf::report {

// The page's text. kIo, or kBadInput from a file of the run.
Expected<std::string> ReportPage(const std::filesystem::path& folder);

// Writes it as `folder`/report.html and returns its path.
Expected<std::filesystem::path> WriteReport(const std::filesystem::path& folder);

}  // namespace dashf::report
