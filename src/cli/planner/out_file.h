// Where a result goes.
#pragma once

#include <initializer_list>
#include <string>

#include "base/error.h"

namespace dashf::cli {

// Whether --out, which may not exist yet, is one of the files that are read: a result must not
// replace what it was made from. Devices and pipes are never the same. kUsage names both.
Expected<void> CheckOut(const std::string& out, std::initializer_list<std::string> inputs);

// Whether writing `out` again replaces what was written; false for pipes, terminals and devices.
bool MayBeReplaced(const std::string& out);

}  // namespace dashf::cli
