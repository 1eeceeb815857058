// `dashf kit add`, and what the verbs of `dashf kit` share.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "cli/command.h"
#include "kit/fleet_folder.h"
#include "kit/node_folder.h"

namespace dashf::cli {

struct KitFlags {
  std::string fleet = ".";
  int days = 365;
  kit::Target target;

  std::chrono::hours Life() const { return std::chrono::hours(24 * days); }
};

// Warns where others may open its authority's key.
Expected<kit::FleetFolder> OpenFleet(const KitFlags& flags);
void AddFleetFlag(Command verb, const std::shared_ptr<KitFlags>& flags);
void AddDaysFlag(Command verb, const std::shared_ptr<KitFlags>& flags);
void AddTargetFlags(Command verb, const std::shared_ptr<KitFlags>& flags);
// A path on another machine, as units and node files name it.
Check PathElsewhere();
void AddAdd(Command kit, Run& run, const std::shared_ptr<KitFlags>& common);

}  // namespace dashf::cli
