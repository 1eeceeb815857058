// --weights and --arithmetic: how a frozen model is held in memory and multiplied, shared by the
// verbs that load one.
#pragma once

#include "cli/command.h"
#include "train/compute.h"

namespace dashf::cli {

void AddWeightsOption(CLI::App* verb, train::StorageChoice* choice);
// Of training alone.
void AddArithmeticOption(CLI::App* verb, train::StorageChoice* choice);

// train::StorageFor(), whose errors are kUsage here and name the option.
Expected<llama::Storage> ChosenStorage(const train::StorageChoice& choice);

}  // namespace dashf::cli
