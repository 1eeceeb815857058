#include "fleet/keeper.h"

#include <algorithm>

namespace dashf::fleet {

Expected<std::vector<StepResult>> Keeper::Take(std::vector<LoggedEvent> events) {
  std::vector<StepResult> results;
  std::vector<LoggedEvent> accepted;
  bool round_ended = false;
  for (LoggedEvent& logged : events) {
    results.push_back(Step(state_, logged.at, logged.event));
    if (results.back().verdict != Verdict::kAccepted) continue;
    const auto& effects = results.back().effects;
    round_ended = round_ended || std::any_of(effects.begin(), effects.end(), [](const auto& e) {
                    return std::holds_alternative<RoundEnded>(e);
                  });
    accepted.push_back(std::move(logged));
  }
  if (accepted.empty()) return results;
  if (auto kept = log_.Append(accepted); !kept) return tl::unexpected(kept.error());
  // Without it the next start is slower, nothing else.
  if (round_ended && log_.SnapshotIsDue()) {
    [[maybe_unused]] const auto kept = log_.Snapshot(state_);
  }
  return results;
}

}  // namespace dashf::fleet
