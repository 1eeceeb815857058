// The data of a run: one training and one held-out set per user, from the sections task, from one
// file shared out among the users, or from a folder that is there already.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/samples.h"
#include "round/round_record.h"
#include "runtime/launch.h"
#include "runtime/learning.h"
#include "runtime/run_config.h"

namespace dashf::cli {

struct RunData {
  std::vector<runtime::UserFiles> files;  // One per user.
  std::vector<std::vector<corpus::Sample>> train, test;
  std::vector<std::string> labels;  // Of a choice task; empty: none.
  std::string source;               // In words.
  std::set<std::string> ignored;    // Keys of records that nothing reads.
};

// Data of `users` users; what is made here goes to `folder`/u0/train.jsonl and so on. kBadInput
// where there are too few records or subfolders.
Expected<RunData> PrepareData(const runtime::RunConfig& config,
                              int users,
                              const std::filesystem::path& folder);

// Per user, and what was taken of all their samples: a report for each kind of them.
struct TokenizedData {
  std::vector<std::vector<corpus::Example>> train, test;
  std::vector<corpus::DataReport> reports;
};
// Says on stderr, too, what was taken.
Expected<TokenizedData> TokenizeData(const RunData& data,
                                     const runtime::BaseModel& base,
                                     int tokens_max);
// An array of what cli::ToJson makes of each.
nlohmann::ordered_json ToJson(const std::vector<corpus::DataReport>& reports);
DataRecord ToRecord(const corpus::DataReport& report);

}  // namespace dashf::cli
