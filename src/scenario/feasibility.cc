#include "scenario/feasibility.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

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

// Does work cost anything? By its delay, or by its energy.
bool WorkCosts(const Objective& objective, const Compute& compute) {
  return objective.delay_weight_per_s > 0.0 || compute.kappa_w_per_hz3 > 0.0 ||
         compute.energy_j_per_flop > 0.0;
}

// What a user's allowed splits at one server cost and earn.
struct LinkTerms {
  bool has_costly = false, has_free = false;
  bool has_score = false, has_free_score = false;  // A split that scores; that does so for nothing.
};

LinkTerms TermsOf(const Scenario& scenario, const User& user, const Server& server) {
  const SplitProfile& table = scenario.ProfileOf(user);
  LinkTerms terms;
  for (int layers = 0; layers <= table.layers(); ++layers) {
    if (!scenario.SplitAllowed(user, layers)) continue;
    const auto k = static_cast<std::size_t>(layers);
    // Bits always take power and time.
    const bool has_bits = table.upload_bit[k] > 0.0 || table.download_bit[k] > 0.0;
    const bool costs =
        has_bits || (table.local_flop[k] > 0.0 && WorkCosts(scenario.objective, user.compute)) ||
        (table.server_flop[k] > 0.0 && WorkCosts(scenario.objective, server.compute));
    (costs ? terms.has_costly : terms.has_free) = true;
    terms.has_score |= has_bits || table.server_flop[k] > 0.0;
    terms.has_free_score |= !costs && table.server_flop[k] > 0.0;
  }
  return terms;
}

// Does every plan cost 0, or one that scores no less than any other? Then there is no ratio, or no
// largest one.
bool CostsNothing(const Scenario& scenario) {
  Scenario free = scenario;
  std::vector<std::pair<std::size_t, Link>> scoring;
  bool all_free = true, scores = false;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    free.links[n].clear();
    for (const Link& link : scenario.links[n]) {
      const LinkTerms terms = TermsOf(
          scenario, scenario.users[n], scenario.servers[static_cast<std::size_t>(link.server)]);
      all_free &= !terms.has_costly;
      scores |= terms.has_score;
      if (terms.has_free) free.links[n].push_back(link);
      if (terms.has_free_score) scoring.emplace_back(n, link);
    }
    if (free.links[n].empty()) return false;
  }
  if (all_free) return true;
  if (!scores) return MatchSlots(free).shortages.empty();
  return std::any_of(scoring.begin(), scoring.end(), [&free](const auto& choice) {
    const auto& [user, link] = choice;
    Scenario with = free;
    with.links[user] = {link};
    return MatchSlots(with).shortages.empty();
  });
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
  conflicts.costs_nothing = conflicts.splits.empty() && CostsNothing(scenario);
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
  return "every plan costs nothing, or one that scores: there is no ratio, or none is the largest "
         "(delay_weight_per_s is 0 and computing takes no energy, or there are no work and bits)";
}

std::string DescribeMissingSlots(const Scenario& scenario, const Conflicts& conflicts) {
  return fmt::format("slots missing in all: {}, one at any server that each of {} reaches",
                     conflicts.users_without_slot.size(),
                     Names(scenario.users, conflicts.users_without_slot));
}

}  // namespace dashf
