// The flags that say what scenario of the default study is made.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "sweep/design.h"

namespace dashf::cli {

// Reads them into `settings`, which must live as long as the verb; returns those that place users
// and servers in the study's square. Limits are checked by the command line.
std::vector<CLI::Option*> AddStudyOptions(CLI::App* verb, sweep::StudySettings* settings);

}  // namespace dashf::cli
