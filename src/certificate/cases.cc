#include "certificate/cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace dashf::certificate {
namespace {

Expected<void> Bad(const std::string& where, std::string rule) {
  return Fail(ErrorKind::kBadInput, where, std::move(rule));
}

Expected<void> CheckPrices(const ServerPrices& prices, const std::string& where) {
  for (const double price : {prices.bandwidth_per_hz, prices.power_per_w, prices.clock_per_hz}) {
    if (!(price >= 0.0 && std::isfinite(price))) {
      return Bad(where, fmt::format("prices must be numbers >= 0, got {}", price));
    }
  }
  if (std::isfinite(prices.slot)) return {};
  return Bad(where, fmt::format("slot must be a number, got {}", prices.slot));
}

Expected<void> CheckQuestion(const Scenario& scenario,
                             const CaseNode& node,
                             const std::string& where) {
  const auto users = static_cast<int>(scenario.users.size());
  if (const auto* count = std::get_if<UsersMax>(&node)) {
    if (count->users >= 0 && count->users <= users) return {};
    return Bad(where, fmt::format("users_max must be 0 to {}, got {}", users, count->users));
  }
  const auto* question = std::get_if<UserWithin>(&node);
  if (!question) return {};
  if (question->user < 0 || question->user >= users) {
    return Bad(where, fmt::format("there is no user {}", question->user));
  }
  const User& user = scenario.users[static_cast<std::size_t>(question->user)];
  const int layers = scenario.ProfileOf(user).layers();
  if (question->split_min < 0 || question->split_min > question->split_max ||
      question->split_max > layers) {
    return Bad(where,
               fmt::format("splits must be 0 <= min <= max <= {}, got {}, {}",
                           layers,
                           question->split_min,
                           question->split_max));
  }
  return {};
}

// Walks a tree in preorder: how many trees are still to come, by depth.
Expected<void> CheckTree(const Scenario& scenario,
                         const std::vector<CaseNode>& nodes,
                         const std::string& where) {
  std::vector<int> open = {0};  // Depths of the trees that must follow, the next one last.
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::string here = fmt::format("{}[{}]", where, i);
    if (open.empty()) return Bad(here, "comes after the tree's end");
    const int depth = open.back();
    open.pop_back();
    if (const auto* prices = std::get_if<ServerPrices>(&nodes[i])) {
      if (const auto checked = CheckPrices(*prices, here); !checked) return checked;
      continue;
    }
    if (depth == kCaseDepthMax) {
      return Bad(here, fmt::format("asks more than {} questions in a row", kCaseDepthMax));
    }
    if (const auto checked = CheckQuestion(scenario, nodes[i], here); !checked) return checked;
    open.insert(open.end(), 2, depth + 1);
  }
  if (open.empty()) return {};
  return Bad(where, fmt::format("must be a whole tree: {} branches are missing", open.size()));
}

void Answer(const Scenario& scenario, const CaseNode& node, bool yes, ServerCase* made) {
  if (const auto* count = std::get_if<UsersMax>(&node)) {
    if (yes) {
      made->users_max = std::min(made->users_max, count->users);
    } else if (count->users >= made->users_min) {
      made->users_min = count->users + 1;
    }
    return;
  }
  const auto& question = std::get<UserWithin>(node);
  auto at = std::find_if(made->asked.begin(), made->asked.end(), [&](const UserCase& one) {
    return one.user == question.user;
  });
  if (at == made->asked.end()) {
    const User& user = scenario.users[static_cast<std::size_t>(question.user)];
    const auto rows = static_cast<std::size_t>(scenario.ProfileOf(user).layers()) + 1;
    made->asked.push_back({question.user, true, std::vector<bool>(rows, true)});
    at = made->asked.end() - 1;
  }
  for (std::size_t k = 0; k < at->allowed.size(); ++k) {
    const bool within =
        static_cast<int>(k) >= question.split_min && static_cast<int>(k) <= question.split_max;
    if (within != yes) at->allowed[k] = false;
  }
  if (yes) at->elsewhere = false;
}

}  // namespace

Expected<void> CheckCases(const Scenario& scenario,
                          const DeadlineBox& box,
                          const std::string& where) {
  if (!box.cases.empty() && box.user_worth.empty()) {
    return Bad(where, "must come with user_worth");
  }
  std::vector<bool> named(scenario.servers.size(), false);
  for (std::size_t i = 0; i < box.cases.size(); ++i) {
    const ServerCases& cases = box.cases[i];
    const std::string here = fmt::format("{}[{}]", where, i);
    if (cases.server < 0 || cases.server >= static_cast<int>(named.size())) {
      return Bad(here, fmt::format("there is no server {}", cases.server));
    }
    if (named[static_cast<std::size_t>(cases.server)]) {
      return Bad(here, fmt::format("names server {} a second time", cases.server));
    }
    named[static_cast<std::size_t>(cases.server)] = true;
    if (const auto checked = CheckTree(scenario, cases.nodes, here + ".nodes"); !checked) {
      return checked;
    }
  }
  return {};
}

void ForEachCase(const Scenario& scenario,
                 const DeadlineBox& box,
                 std::size_t server,
                 const std::function<void(const ServerCase&)>& visit) {
  const int users = static_cast<int>(scenario.users.size());
  const ServerCase all{.server = static_cast<int>(server),
                       .prices = box.servers[server],
                       .users_max = std::min(users, scenario.servers[server].slots.value_or(users)),
                       .asked = {}};
  const auto cases = std::find_if(box.cases.begin(), box.cases.end(), [&](const auto& one) {
    return one.server == static_cast<int>(server);
  });
  if (cases == box.cases.end()) return visit(all);
  std::vector<ServerCase> open = {all};
  for (const CaseNode& node : cases->nodes) {
    ServerCase made = std::move(open.back());
    open.pop_back();
    if (const auto* prices = std::get_if<ServerPrices>(&node)) {
      made.prices = *prices;
      visit(made);
      continue;
    }
    open.push_back(made);
    Answer(scenario, node, false, &open.back());
    open.push_back(std::move(made));
    Answer(scenario, node, true, &open.back());
  }
}

}  // namespace dashf::certificate
