#include "scenario/feasibility.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

namespace dashf {
namespace {

constexpr std::size_t kNamesShownMax = 8;

std::optional<SplitConflict> FindSplitConflict(const Scenario& scenario, std::size_t n) {
  const User& user = scenario.users[n];
  const SplitProfile& profile = scenario.ProfileOf(user);
  const int layers = profile.layers();
  for (int k = 0; k <= layers; ++k) {
    if (scenario.SplitAllowed(user, k)) return std::nullopt;
  }
  const auto& bytes = profile.local_memory_bytes;
  const auto end = scenario.objective.all_local_allowed ? bytes.end() : bytes.end() - 1;
  const auto least = std::min_element(bytes.begin(), end);
  return SplitConflict{.user = static_cast<int>(n),
                       .local_layers = static_cast<int>(least - bytes.begin()),
                       .missing_bytes = *least - user.memory_bytes_max,
                       .all_local_fits = bytes.back() <= user.memory_bytes_max};
}

bool IsFree(const Scenario& scenario, const User& user) {
  const SplitProfile& table = scenario.ProfileOf(user);
  for (int layers = 0; layers <= table.layers(); ++layers) {
    if (!scenario.SplitAllowed(user, layers)) continue;
    const auto k = static_cast<std::size_t>(layers);
    if (table.local_flop[k] + table.server_flop[k] + table.upload_bit[k] + table.download_bit[k] >
        0.0) {
      return false;
    }
  }
  return true;
}

template <class Node>
std::string Names(const std::vector<Node>& nodes, const std::vector<int>& chosen) {
  std::vector<std::string_view> ids;
  for (std::size_t i = 0; i < std::min(chosen.size(), kNamesShownMax); ++i) {
    ids.push_back(nodes[static_cast<std::size_t>(chosen[i])].id);
  }
  std::string text = fmt::format("{}", fmt::join(ids, ", "));
  if (chosen.size() > kNamesShownMax) {
    text += fmt::format(" and {} more", chosen.size() - kNamesShownMax);
  }
  return text;
}

}  // namespace

Conflicts FindConflicts(const Scenario& scenario) {
  Conflicts conflicts;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    if (const auto conflict = FindSplitConflict(scenario, n)) conflicts.splits.push_back(*conflict);
  }
  conflicts.costs_nothing = conflicts.splits.empty() &&
                            std::all_of(scenario.users.begin(),
                                        scenario.users.end(),
                                        [&](const User& user) { return IsFree(scenario, user); });
  SlotMatching matching = MatchSlots(scenario);
  conflicts.shortages = std::move(matching.shortages);
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    if (matching.server_of_user[n] < 0 && !scenario.links[n].empty()) {
      conflicts.users_without_slot.push_back(static_cast<int>(n));
    }
  }
  return conflicts;
}

std::string Describe(const Scenario& scenario, const SplitConflict& conflict) {
  const User& user = scenario.users[static_cast<std::size_t>(conflict.user)];
  const SplitProfile& profile = scenario.ProfileOf(user);
  const std::string more = fmt::format("profile \"{}\" needs {} bytes, {} more (k = {})",
                                       profile.name,
                                       user.memory_bytes_max + conflict.missing_bytes,
                                       conflict.missing_bytes,
                                       conflict.local_layers);
  if (conflict.all_local_fits) {
    return fmt::format(
        "user {}: only k = L = {} fits its memory of {} bytes, and objective.all_local_allowed is "
        "false; otherwise {}",
        user.id,
        profile.layers(),
        user.memory_bytes_max,
        more);
  }
  return fmt::format(
      "user {}: no split fits its memory of {} bytes; {}", user.id, user.memory_bytes_max, more);
}

std::string Describe(const Scenario& scenario, const SlotShortage& shortage) {
  const std::string users = Names(scenario.users, shortage.users);
  if (shortage.servers.empty()) {
    return fmt::format("user {} reaches no server: its gain to every server is 0 or absent", users);
  }
  return fmt::format("too few slots: the {} users {} reach only {} with {} slots together",
                     shortage.users.size(),
                     users,
                     Names(scenario.servers, shortage.servers),
                     shortage.slots);
}

std::string DescribeFree() {
  return "no split of any user has work or bits: every plan costs and scores 0, which is no ratio";
}

std::string DescribeMissingSlots(const Scenario& scenario, const Conflicts& conflicts) {
  return fmt::format("slots missing in all: {}, one at any server that each of {} reaches",
                     conflicts.users_without_slot.size(),
                     Names(scenario.users, conflicts.users_without_slot));
}

}  // namespace dashf
