// The flags that say what scenario of the default study is made.
#pragma once

#include <string>
#include <vector>

#include "cli/options.h"
#include "sweep/design.h"

namespace dashf::cli {

// They are read into `settings`, which must live as long as the verb. Limits are checked by the
// command line.
void AddUsersOption(Command verb, sweep::StudySettings* settings);
// All others; returns those that place servers in the study's square. `candidates` says in --help
// how many there are by default.
std::vector<Option> AddStudyOptions(Command verb,
                                    sweep::StudySettings* settings,
                                    const std::string& candidates = "all");

}  // namespace dashf::cli
