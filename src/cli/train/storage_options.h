// --weights and --arithmetic: how a frozen model is held in memory and multiplied, shared by the
// verbs that load one.
#pragma once

#include <string>

#include "cli/command.h"
#include "train/compute.h"
#include "train/model.h"

namespace dashf::cli {

void AddWeightsOption(Command verb, train::StorageChoice* choice);
// Of training alone.
void AddArithmeticOption(Command verb, train::StorageChoice* choice);

// train::StorageFor(), whose errors are kUsage here and name the option.
Expected<llama::Storage> ChosenStorage(const train::StorageChoice& choice);

void AddBaseCacheOption(Command verb, std::string* base_cache);
// The base, through the cache that --base-cache asks for; what came of that goes to stderr.
Expected<train::Model> LoadBase(const std::string& model_dir,
                                const llama::Storage& storage,
                                const std::string& base_cache);

}  // namespace dashf::cli
