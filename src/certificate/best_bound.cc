#include "certificate/best_bound.h"

#include <algorithm>
#include <utility>

#include "base/termination.h"
#include "certificate/verification.h"

namespace dashf::certificate {
namespace {

// Into `bound`, where it holds.
void ProveStated(const Scenario& scenario,
                 const Certificate& stated,
                 const Effort& effort,
                 BestBound* bound) {
  const auto verdict = SafeUpperBound(scenario, stated, effort);
  if (verdict && verdict->proven) {
    bound->certificate = stated;
    return;
  }
  bound->stated_left_out = verdict ? verdict->reason : verdict.error().Text();
  bound->in_time = !verdict || verdict->in_time;
}

Expected<FoundPrices> FindOwn(const Scenario& scenario,
                              const SearchPrices& search,
                              int threads,
                              double time_limit_s,
                              const Stopwatch& watch) {
  constexpr double kLeastS = 1e-3;
  auto found = search(kSearchShare * std::max(kLeastS, time_limit_s - watch.ElapsedS()));
  if (!found) return found;
  if (!found->certificate) {
    if (!found->in_time) return found;
    return Fail(ErrorKind::kNumerical, "bound", "no prices were found to prove a bound from");
  }
  const Effort effort(threads, time_limit_s - watch.ElapsedS());
  auto proven = RaiseToProof(scenario, *found->certificate, effort);
  const bool in_time = found->in_time && !effort.TimeIsUp();
  if (proven) return FoundPrices{std::move(*proven), in_time};
  if (!in_time) return FoundPrices{std::nullopt, false};
  return tl::unexpected(proven.error());
}

}  // namespace

Expected<BestBound> FindBestBound(const Scenario& scenario,
                                  const std::optional<Certificate>& stated,
                                  const SearchPrices& search,
                                  int threads,
                                  double time_limit_s) {
  const Stopwatch watch;
  BestBound bound;
  if (stated) ProveStated(scenario, *stated, {threads, kStatedShare * time_limit_s}, &bound);
  auto own = FindOwn(scenario, search, threads, time_limit_s, watch);
  if (!own && !bound.certificate) return tl::unexpected(own.error());
  if (own && !own->in_time) bound.in_time = false;
  if (bound.certificate &&
      !(own && own->certificate && own->certificate->scr_upper < bound.certificate->scr_upper)) {
    bound.stated_kept = true;
    return bound;
  }
  bound.certificate = std::move(own->certificate);
  return bound;
}

}  // namespace dashf::certificate
