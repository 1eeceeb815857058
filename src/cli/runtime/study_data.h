// What studies of trainings have in common: their configuration, the data of their users, and how
// they are stopped.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/runtime/run_data.h"
#include "runtime/run_config.h"
#include "study/design.h"

namespace dashf::cli {

struct StudySource {
  std::string config;  // A configuration of `dashf run`; empty: its defaults.
  std::string model, data;
  int train_records = 0, test_records = 0, users = 0;  // 0: as configured.
};
// The configuration with what the command line says instead.
Expected<runtime::RunConfig> Configure(const StudySource& source);

struct StudyModel {
  llama::Storage storage;
  runtime::BaseModel base;
};
// The configured one, after a line on stderr that says what it is computed with. Samples are then
// no longer than it takes.
Expected<StudyModel> LoadStudyModel(runtime::RunConfig* config);

// What its data are called in a title.
std::string DataName(const runtime::RunConfig& config);

// The number-th repetition, from 1 on: seeds and data of its own, which are in `out`/data/NUMBER
// from the first time on, complete or not at all. What was taken of the records is appended.
Expected<study::Repetition> ReadRepetition(runtime::RunConfig config,
                                           std::uint64_t number,
                                           const std::filesystem::path& out,
                                           const runtime::BaseModel& base,
                                           std::vector<corpus::DataReport>* taken);

// What changes a training's outcome, and may therefore not change between two runs into one folder.
Expected<nlohmann::ordered_json> SettingsOf(const runtime::RunConfig& config,
                                            const llama::Storage& storage);

// Keeps the first signal that asks this process to end.
std::function<bool()> StopOn(std::optional<int>* signal);

}  // namespace dashf::cli
