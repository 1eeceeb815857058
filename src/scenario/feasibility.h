// Why a sound scenario has no plan: which of its rules contradict, and by how much. The rules are
// links, memory and slots alone, so this is exact (docs/model.md (3)); and a plan must cost
// something (7). Pure: safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "scenario/scenario.h"
#include "scenario/slot_matching.h"

namespace dashf {

// A user whom no allowed split fits.
struct SplitConflict {
  int user = 0;
  int local_layers = 0;         // k that fits most nearly, k < L unless all-local is allowed.
  double missing_bytes = 0.0;   // How much more memory it needs, > 0.
  bool all_local_fits = false;  // It would do to set objective.all_local_allowed.
};

// Empty if there is a plan. Without its conflicts, all of them, the scenario has one.
struct Conflicts {
  std::vector<SplitConflict> splits;
  std::vector<SlotShortage> shortages;  // Without servers: a user without a link.
  // Users that a largest matching leaves without a slot; so many slots are missing in all, one at
  // any server that each of them reaches.
  std::vector<int> users_without_slot;

  // Every plan costs 0 (SCR would be 0 / 0), or one that scores does (SCR would have no limit).
  bool costs_nothing = false;

  bool empty() const { return splits.empty() && shortages.empty() && !costs_nothing; }
};

Conflicts FindConflicts(const Scenario& scenario);

// One sentence each, naming users, servers and the slack.
std::string Describe(const Scenario& scenario, const SplitConflict& conflict);
std::string Describe(const Scenario& scenario, const SlotShortage& shortage);
std::string DescribeFree();
std::string DescribeMissingSlots(const Scenario& scenario, const Conflicts& conflicts);

}  // namespace dashf
