// Which modules adapter_config.json covers. Internal to this module.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/model.h"

namespace dashf::train {

struct Coverage {
  std::vector<std::string> targets;  // As the file lists them; by an expression, none.
  std::set<std::string> modules;     // ModuleName of each that is covered.

  bool Covers(int layer, const std::string& target) const;
};

// By "target_modules" (a list, a regular expression, or "all-linear"), "exclude_modules",
// "layers_to_transform" and "layers_pattern", as PEFT has them. Rejected in `root`: an expression
// that is none, what covers nothing, and what covers a module that is not a projection.
Coverage ReadCoverage(JsonReader* root, const ModelConfig& model);

}  // namespace dashf::train
