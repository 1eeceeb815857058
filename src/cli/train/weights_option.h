// In which format a frozen model's weights are held in memory: --weights, shared by the verbs that
// load a model.
#pragma once

#include <string>

#include "cli/command.h"
#include "llama/weights.h"

namespace dashf::cli {

// Adds --weights; `weights` stays empty where it is not given.
void AddWeightsOption(CLI::App* verb, std::string* weights);

// Of a --weights that was checked when it was read, or empty: as the arithmetic, one of
// train::kArithmetics, wants them. kUsage if the two do not go together.
Expected<llama::Storage> StorageFor(const std::string& weights, const std::string& arithmetic);

const char* Name(llama::Format format);

}  // namespace dashf::cli
