// Can every user get a slot at a server it reaches? A bipartite matching of users to servers with
// capacities. Pure: safe from any thread.
#pragma once

#include <optional>
#include <vector>

#include "scenario/scenario.h"

namespace dashf {

// Hall's condition violated: the users reach these servers alone, and these have fewer slots.
struct SlotShortage {
  std::vector<int> users;    // Ascending.
  std::vector<int> servers;  // Ascending.
  int slots = 0;             // In sum over `servers`; slots < users.size().
};

struct SlotMatching {
  std::vector<int> server_of_user;       // -1 where no slot is left to be found.
  std::optional<SlotShortage> shortage;  // None if everyone is matched.
};

// Layered augmenting paths (Hopcroft and Karp, SIAM J. Comput. 2(4), 1973), O(links sqrt(users)).
SlotMatching MatchSlots(const Scenario& scenario);

}  // namespace dashf
