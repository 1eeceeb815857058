// Shows an address in whatever the desktop opens it with.
#pragma once

#include <string>

#include "base/error.h"

namespace dashf::cli {

// Starts xdg-open in a session of its own, which outlives this process; kIo if it cannot.
Expected<void> OpenBrowser(const std::string& url);

}  // namespace dashf::cli
