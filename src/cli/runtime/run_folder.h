// Where `dashf run` may write.
#pragma once

#include <filesystem>

#include "base/error.h"

namespace dashf::cli {

// A run begins by removing what an earlier one has left, so its folder is new, empty or a run's:
// it has `dashf run`'s lock or a round.json. kBadInput names what else it holds.
Expected<void> CheckRunFolder(const std::filesystem::path& folder);

}  // namespace dashf::cli
