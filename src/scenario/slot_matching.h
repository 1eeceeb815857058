// Can every user get a slot at a server it reaches? A bipartite matching of users to servers with
// capacities. Pure: safe from any thread.
#pragma once

#include <vector>

#include "scenario/scenario.h"

namespace dashf {

// Hall's condition violated: the users reach these servers alone, and these have one slot too few.
// Irreducible: without any one of the users the others find slots.
struct SlotShortage {
  std::vector<int> users;    // Ascending.
  std::vector<int> servers;  // Ascending.
  int slots = 0;             // In sum over `servers`; users.size() - 1.
};

struct SlotMatching {
  // -1 where no slot is left to be found. As few as possible, so as many slots are missing in all.
  std::vector<int> server_of_user;
  // None if everyone is matched. They may overlap; each server that a user without a slot reaches
  // is in one of them.
  std::vector<SlotShortage> shortages;
};

// Layered augmenting paths (Hopcroft and Karp, SIAM J. Comput. 2(4), 1973), O(links sqrt(users)).
SlotMatching MatchSlots(const Scenario& scenario);

}  // namespace dashf
