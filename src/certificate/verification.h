// Re-checks certificates (docs/certificates.md). Stands on the scenario and the certificate alone
// and shares no code with what finds plans or prices. Every bound is rounded outwards, so that
// "proven" means: no plan that keeps each limit to 1e-9 relative has an SCR above scr_upper.
// Results do not depend on the number of threads.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "certificate/effort.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

struct BoxVerdict {
  double excess = 0.0;  // A proven upper bound of D (9), score units; the box is proven if <= 0.
  int user = 0;         // Whose psi is largest.
};

struct Verdict {
  bool proven = false;
  bool in_time = true;  // If not, nothing is said of boxes that are not proven, or have no entry.
  std::vector<BoxVerdict> boxes;
  std::string reason;  // Why not, where not: the worst box and by how much.
};

// `scenario` is valid. kBadInput: the certificate is not well-formed for it (scr_upper not a number
// above 0, a price or weight negative or not finite, a wrong length, a slot price without a slot
// limit, boxes that leave a part of the quadrant open).
Expected<Verdict> SafeUpperBound(const Scenario& scenario,
                                 const Certificate& certificate,
                                 const Effort& effort);

// The same prices, weights and boxes with nearly the smallest scr_upper that they prove, within
// 1e-5 relative; certificate.scr_upper is where the search starts, and an estimate good to 1e-6
// takes one look at every user. kNumerical if no bound was found; kBadInput as above.
//
// With a limit of time a rough proof, within some percent, comes first: it is what is returned
// where the limit ends the fine one, and kNumerical where it ends both (effort.TimeIsUp() tells).
Expected<Certificate> RaiseToProof(const Scenario& scenario,
                                   const Certificate& certificate,
                                   const Effort& effort);

}  // namespace dashf::certificate
