// The case trees of a certificate: their form, and what each case allows. Exact: compares integers
// only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

// What a case's answers leave of one user that was asked about.
struct UserCase {
  int user = 0;
  bool elsewhere = true;      // May the user be on another server?
  std::vector<bool> allowed;  // Per k = 0..L: may it be on this one with this split?
};

// A server's users are at least users_min and at most users_max; each that is not in `asked` may be
// on it with any split, or elsewhere.
struct ServerCase {
  int server = 0;
  ServerPrices prices;
  int users_min = 0;
  int users_max = 0;
  std::vector<UserCase> asked;
};

// kBadInput: a tree that ends early or late or asks more than kCaseDepthMax questions in a row, a
// server, user or split that does not exist, a server named twice, a price that is not a
// number >= 0 (a slot's: not a number), or cases without user_worth.
Expected<void> CheckCases(const Scenario& scenario,
                          const DeadlineBox& box,
                          const std::string& where);

// Visits every case of a server; without a tree that is one, at the box's prices. The box has
// passed CheckCases(). Holds one path of the tree in memory.
void ForEachCase(const Scenario& scenario,
                 const DeadlineBox& box,
                 std::size_t server,
                 const std::function<void(const ServerCase&)>& visit);

}  // namespace dashf::certificate
