// How far the best plan may be at most, in the time there is: by the certificate that a plan
// states, or by one of a new search, whichever proves the lower bound.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "plan/certificate.h"
#include "scenario/scenario.h"

namespace dashf::certificate {

// Of a time limit: for a search, where the proof of what it finds has what is left; and before it
// for a proof of the certificate that is there already.
inline constexpr double kSearchShare = 0.6, kStatedShare = 0.3;

struct FoundPrices {
  std::optional<Certificate> certificate;
  bool in_time = true;  // The limit did not end the search.
};

// A search for prices within so many seconds.
using SearchPrices = std::function<Expected<FoundPrices>(double time_limit_s)>;

struct BestBound {
  std::optional<Certificate> certificate;  // Proven; none only where the time ended.
  bool in_time = true;
  bool stated_kept = false;     // It is the stated one.
  std::string stated_left_out;  // Why the stated one proves nothing; empty where it does.
};

// kNumerical, or what `search` fails with, where there was time and nothing is proven. The time
// runs from the call on; a stop (base/termination.h) ends it with what is proven by then.
Expected<BestBound> FindBestBound(const Scenario& scenario,
                                  const std::optional<Certificate>& stated,
                                  const SearchPrices& search,
                                  int threads,
                                  double time_limit_s);

}  // namespace dashf::certificate
