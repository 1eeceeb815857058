// What a reader of a live page must know, where others than this machine's can reach it: a line of
// at least 16 letters, digits, '-' and '_'.
#pragma once

#include <string>

#include "base/error.h"

namespace dashf::live {

Expected<std::string> ReadToken(const std::string& path);

}  // namespace dashf::live
