// dashf bench planner --families: the default method against every baseline on the instance
// library, as one table with a row per family, size and delay mode.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/planner/family_measurement.h"

namespace dashf::cli {

struct FamiliesBench {
  struct Size {
    std::string name;
    int users = 0, servers = 0;
  };
  std::vector<std::string> families;  // "all", or names.
  std::vector<Size> sizes;
  std::vector<std::string> delays;
  int seeds = 1;
  std::string journal;  // A file of results so far, or "".
  enum class Output { kTable, kJson, kCsv } output = Output::kTable;
  FamilyEffort effort;
  // Of a family, size, delay mode and seed.
  std::function<Expected<Scenario>(
      const std::string&, const Size&, const std::string&, std::uint64_t)>
      scenario;
};

// The exit code: kExitJobsFailed if the default ended below a baseline or without a plan, or a
// bound lies below a plan.
Expected<int> RunFamilies(const FamiliesBench& bench);

}  // namespace dashf::cli
