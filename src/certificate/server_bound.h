// A proven upper bound on what one server can bring over what its users are worth elsewhere
// (docs/certificates.md, "Servers one by one").
#pragma once

#include <span>
#include <vector>

#include "certificate/effort.h"
#include "certificate/rounding.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

// What the server's capacities are worth at these prices, slots not counted; rounded up.
double CapacityWorth(const Server& server, const ServerPrices& prices);

struct Candidate {
  std::size_t user = 0;
  Link link;  // To the server.
};

struct ServerBound {
  // At most so much is sum over the server's users of (score - y cost - worth), whoever they are;
  // -infinity: no set of users fits its cases. Score units.
  double upper = -kInfinity;
  double cost = 0.0;  // About -d upper / d y.
};

// The largest over the server's cases. `candidates`: all users that can reach it. `box` has
// user_worth and well-formed cases.
ServerBound BoundServer(const Scenario& scenario,
                        const DeadlineBox& box,
                        double scr_upper,
                        std::size_t server,
                        std::span<const Candidate> candidates,
                        double tolerance,
                        const Effort& effort);

}  // namespace dashf::certificate
