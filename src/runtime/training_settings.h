// How a fleet trains: the coordinator's node file says it, and the other nodes ask the coordinator.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "train/adapter.h"
#include "train/phases.h"
#include "train/storage_choice.h"

namespace dashf::runtime {

// The same for every node of a fleet.
struct TrainingSettings {
  train::AdapterConfig adapter;
  train::StorageChoice storage;  // Of the base, on each node.
  train::UserObjective objective = train::UserObjective::kEarlyExit;
  int epochs_user = 3;    // Passes of the user phase over the training set, >= 1.
  int epochs_server = 3;  // Of the server phase, >= 1.
  int epochs_joint = 0;   // Then of all layers, at the server, >= 0.
  int batch_size = 8;
  int accumulate = 1;  // Batches per step.
  double learning_rate = 3e-3;
  train::LearningRateSchedule schedule;  // Of each phase.
  double weight_decay = 0.0;
  int tokens_max = 256;  // Longer examples are shortened.
  std::uint64_t seed = 1;

  // The first layer that a server sends back of those that it trained.
  int FirstReturned(int k) const { return epochs_joint > 0 ? 1 : k + 1; }

  // As the engine wants them, for a phase of so many epochs; each round has batches of its own.
  train::TrainOptions OptionsFor(int epochs, std::uint32_t round = 1) const {
    train::TrainOptions options;
    options.epochs = epochs;
    options.batch_size = batch_size;
    options.accumulate = accumulate;
    options.learning_rate = learning_rate;
    options.schedule = schedule;
    options.weight_decay = weight_decay;
    options.seed = round == 1 ? seed : Rng(seed).Stream("round").Stream(round).Next();
    return options;
  }
};

nlohmann::ordered_json ToJson(const TrainingSettings& training);
// The object itself. Strict: the first broken rule is the document's error.
TrainingSettings ReadTrainingSettings(JsonReader reader);
// What no reader of a single key sees: whether the weights go with the arithmetic. kBadInput names
// `where`.training.KEY.
Expected<void> CheckTrainingSettings(const std::string& where, const TrainingSettings& training);

std::string WriteTrainingSettings(const TrainingSettings& training);  // As JSON, in one line.
// As WriteTrainingSettings wrote them; kBadInput names the key below `where`.training.
Expected<TrainingSettings> ParseTrainingSettings(const std::string& where, const std::string& text);

// What the adapter is, as JSON in one line: adapters of other settings are no beginning for it.
std::string WriteAdapterSettings(const TrainingSettings& training);

// The first setting in which two differ, by name and both values; empty: none.
std::string SettingsDifference(const std::string& ours, const std::string& theirs);
// Whether two, as written, differ in how much work a training is, which profiles state.
bool EpochsDiffer(const std::string& ours, const std::string& theirs);

}  // namespace dashf::runtime
