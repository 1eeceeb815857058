// A model folder with what else belongs into it.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/error.h"
#include "train/model.h"

namespace dashf::train {

// SaveModel, and `others` by their names: tokenizer and templates, for instance. A config.json
// among them takes the place of the model's own. None of the files is there before all are written.
Expected<void> SaveModelFolder(const Model& model,
                               Precision precision,
                               const std::filesystem::path& folder,
                               std::map<std::string, std::string> others);

}  // namespace dashf::train
