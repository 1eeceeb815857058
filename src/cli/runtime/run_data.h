// The data of a run: one training and one held-out set per user, from the sections task, from one
// file shared out among the users, or from a folder that is there already.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/samples.h"
#include "runtime/launch.h"
#include "runtime/run_config.h"

namespace dashf::cli {

struct RunData {
  std::vector<runtime::UserFiles> files;  // One per user.
  std::vector<std::vector<corpus::Sample>> train, test;
  std::vector<std::string> labels;  // Of a choice task; empty: none.
  std::string source;               // In words.
};

// Data of `users` users; what is made here goes to `folder`/u0/train.jsonl and so on. kBadInput
// where there are too few records or subfolders.
Expected<RunData> PrepareData(const runtime::RunConfig& config,
                              int users,
                              const std::filesystem::path& folder);

}  // namespace dashf::cli
