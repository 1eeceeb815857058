// One self-contained HTML page about a run: no script, no network, light or dark as the reader's
// browser asks. Reads the run directory's files alone.
#pragma once

#include <filesystem>

#include "base/error.h"

namespace dashf::report {

// Writes `folder`/report.html and returns its path. kIo, or kBadInput from a file of the run.
Expected<std::filesystem::path> WriteReport(const std::filesystem::path& folder);

}  // namespace dashf::report
