// The bound that takes servers one by one (docs/certificates.md): what serving each user is worth,
// and per server the cases and prices that bound it, in sum mode. Where a user is divided between
// two servers at the best prices (price_search.h), a server's cases forbid it, and the gap closes
// server by server. Internal to the module; numerical, not outward-rounded.
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "solvers/price_search.h"
#include "solvers/server_cases.h"

namespace dashf::solvers::internal {

struct CaseSearchOptions {
  double enough = 0.0;  // A bound this low needs no improvement.
  double time_limit_s = std::numeric_limits<double>::infinity();
  // The search ends with at most about twice as many pairs of a case and a user that may be in it:
  // each costs the verifier a look.
  std::size_t looks_max = 40000;
  int threads = 1;
  std::function<void(double y, std::size_t cases)> on_round = {};
  // Told after every round how much of its user the bound puts in each column.
  std::function<void(const std::vector<float>& presence)> on_presence = {};
};

struct CaseBound {
  double y = std::numeric_limits<double>::infinity();  // No plan's SCR is above.
  std::vector<double> user_worth;
  std::vector<ServerCases> cases;  // Of every server.
  // Per column: how much of its user the bound puts there.
  std::vector<float> presence;
};

// `root`: prices near the best; root.y: an SCR that is reached, near the bound to be found.
CaseBound SearchCases(const ScrProblem& problem,
                      const Columns& columns,
                      const DualPoint& root,
                      const CaseSearchOptions& options);

}  // namespace dashf::solvers::internal
