// `dashf kit add`, and what the verbs of `dashf kit` share.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "cli/command.h"
#include "kit/node_folder.h"

namespace dashf::cli {

struct KitFlags {
  std::string fleet = ".";
  int days = 365;
  kit::Target target;

  std::chrono::hours Life() const { return std::chrono::hours(24 * days); }
};

void AddFleetFlag(CLI::App* verb, const std::shared_ptr<KitFlags>& flags);
void AddDaysFlag(CLI::App* verb, const std::shared_ptr<KitFlags>& flags);
void AddTargetFlags(CLI::App* verb, const std::shared_ptr<KitFlags>& flags);
// A path on another machine, as units and node files name it.
CLI::Validator PathElsewhere();
void AddAdd(CLI::App& kit, Run& run, const std::shared_ptr<KitFlags>& common);

}  // namespace dashf::cli
