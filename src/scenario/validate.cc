#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>

#include "scenario/feasibility.h"
#include "scenario/scenario.h"

namespace dashf {
namespace {

// Keeps the first broken rule; later checks still run but say nothing.
class Checks {
 public:
  Expected<void> Result() const { return result_; }
  bool failed() const { return !result_; }

  void Require(bool holds, const std::string& where, const std::string& rule_and_value) {
    if (!holds && result_) result_ = Fail(ErrorKind::kBadInput, where, rule_and_value);
  }
  // Where the number stands is put together only if it must be said: a scenario has millions.
  template <class... Args>
  void Positive(double value, fmt::format_string<Args...> where, Args&&... args) {
    if (value > 0.0 && std::isfinite(value)) return;
    Require(false,
            fmt::format(where, std::forward<Args>(args)...),
            fmt::format("must be a number > 0, got {}", value));
  }
  template <class... Args>
  void NonNegative(double value, fmt::format_string<Args...> where, Args&&... args) {
    if (value >= 0.0 && std::isfinite(value)) return;
    Require(false,
            fmt::format(where, std::forward<Args>(args)...),
            fmt::format("must be a number >= 0, got {}", value));
  }
  template <class... Args>
  void Finite(double value, fmt::format_string<Args...> where, Args&&... args) {
    if (std::isfinite(value)) return;
    Require(false,
            fmt::format(where, std::forward<Args>(args)...),
            fmt::format("must be finite, got {}", value));
  }

 private:
  Expected<void> result_;
};

template <class Node>
void CheckIds(const std::vector<Node>& nodes, std::string_view list, Checks* checks) {
  std::unordered_map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < nodes.size() && !checks->failed(); ++i) {
    const std::string& id = nodes[i].id;
    const std::string where = fmt::format("{}[{}].id", list, i);
    checks->Require(IsNodeId(id), where, fmt::format("{}, got \"{}\"", kNodeIdRule, id));
    const auto [first, is_new] = seen.emplace(id, i);
    checks->Require(
        is_new,
        where,
        fmt::format("must be unique, got \"{}\", the id of {}[{}]", id, list, first->second));
  }
}

void CheckCompute(const Compute& compute, const std::string& where, Checks* checks) {
  checks->Positive(compute.clock_hz_max, "{}.compute.clock_hz_max", where);
  checks->Positive(compute.flop_per_cycle, "{}.compute.flop_per_cycle", where);
  checks->NonNegative(compute.kappa_w_per_hz3, "{}.compute.kappa_w_per_hz3", where);
  checks->NonNegative(compute.energy_j_per_flop, "{}.compute.energy_j_per_flop", where);
}

void CheckPosition(const Position& position, const std::string& where, Checks* checks) {
  checks->Finite(position.x_m, "{}.position_m[0]", where);
  checks->Finite(position.y_m, "{}.position_m[1]", where);
}

void CheckObjective(const Objective& objective, Checks* checks) {
  checks->NonNegative(objective.delay_weight_per_s, "objective.delay_weight_per_s");
  checks->NonNegative(objective.energy_weight_per_j, "objective.energy_weight_per_j");
  checks->Require(
      objective.delay_weight_per_s > 0.0 || objective.energy_weight_per_j > 0.0,
      "objective",
      "delay_weight_per_s or energy_weight_per_j must be > 0, got 0 and 0: nothing has a cost");
  checks->Positive(objective.score_scale, "objective.score_scale");
  checks->Positive(objective.score_gain, "objective.score_gain");
}

void CheckNodes(const Scenario& scenario, Checks* checks) {
  checks->Require(!scenario.users.empty(), "users", "must not be empty");
  checks->Require(!scenario.servers.empty(), "servers", "must not be empty");
  CheckIds(scenario.users, "users", checks);
  CheckIds(scenario.servers, "servers", checks);
  for (std::size_t n = 0; n < scenario.users.size() && !checks->failed(); ++n) {
    const User& user = scenario.users[n];
    const std::string where = fmt::format("users[{}]", n);
    CheckPosition(user.position_m, where, checks);
    checks->Positive(user.tx_power_w_max, "{}.tx_power_w_max", where);
    CheckCompute(user.compute, where, checks);
    checks->Positive(user.memory_bytes_max, "{}.memory_bytes_max", where);
    checks->Require(
        user.profile >= 0 && user.profile < static_cast<int>(scenario.profiles.size()),
        where + ".profile",
        fmt::format("must be one of {} profiles, got {}", scenario.profiles.size(), user.profile));
  }
  for (std::size_t m = 0; m < scenario.servers.size() && !checks->failed(); ++m) {
    const Server& server = scenario.servers[m];
    const std::string where = fmt::format("servers[{}]", m);
    CheckPosition(server.position_m, where, checks);
    checks->Positive(server.bandwidth_hz, "{}.bandwidth_hz", where);
    checks->Positive(server.tx_power_w_max, "{}.tx_power_w_max", where);
    CheckCompute(server.compute, where, checks);
    checks->Require(server.slots.value_or(0) >= 0,
                    where + ".slots",
                    fmt::format("must be >= 0, got {}", server.slots.value_or(0)));
  }
}

void CheckProfile(const SplitProfile& profile, Checks* checks) {
  const std::string where = "profiles." + profile.name;
  checks->Require(!profile.name.empty(), "profiles", "must have names, got \"\"");
  const std::size_t rows = profile.local_flop.size();
  checks->Require(
      rows >= 2,
      where + ".local_flop",
      fmt::format("must have L + 1 >= 2 entries, one per split k = 0..L, got {}", rows));
  const std::pair<std::string_view, const std::vector<double>*> columns[] = {
      {"local_flop", &profile.local_flop},
      {"server_flop", &profile.server_flop},
      {"upload_bit", &profile.upload_bit},
      {"download_bit", &profile.download_bit},
      {"local_memory_bytes", &profile.local_memory_bytes}};
  for (const auto& [name, column] : columns) {
    const std::string place = fmt::format("{}.{}", where, name);
    checks->Require(
        column->size() == rows,
        place,
        fmt::format("must have as many entries as local_flop ({}), got {}", rows, column->size()));
    for (std::size_t k = 0; k < column->size(); ++k) {
      checks->NonNegative((*column)[k], "{}[{}]", place, k);
    }
  }
  if (checks->failed()) return;
  // A plan without a local part computes nothing there, one without a server's part sends nothing.
  const auto zero = [&](double value, std::string_view entry, std::string_view why) {
    checks->Require(value == 0.0,
                    fmt::format("{}.{}", where, entry),
                    fmt::format("must be 0 ({}), got {}", why, value));
  };
  const std::string last = fmt::format("[{}]", rows - 1);
  zero(profile.local_flop.front(), "local_flop[0]", "k = 0: the user trains nothing");
  zero(profile.server_flop.back(), "server_flop" + last, "k = L: the server trains nothing");
  zero(profile.upload_bit.back(), "upload_bit" + last, "k = L: nothing is sent");
  zero(profile.download_bit.back(), "download_bit" + last, "k = L: nothing is sent back");
}

void CheckProfiles(const Scenario& scenario, Checks* checks) {
  std::unordered_map<std::string_view, int> seen;
  for (const SplitProfile& profile : scenario.profiles) {
    if (checks->failed()) return;
    checks->Require(seen.emplace(profile.name, 0).second,
                    "profiles",
                    fmt::format("must have unique names, got \"{}\" twice", profile.name));
    CheckProfile(profile, checks);
  }
}

void CheckLinks(const Scenario& scenario, Checks* checks) {
  checks->Require(scenario.links.size() == scenario.users.size(),
                  "gain",
                  fmt::format("must have one list of links per user ({}), got {}",
                              scenario.users.size(),
                              scenario.links.size()));
  const int servers = static_cast<int>(scenario.servers.size());
  for (std::size_t n = 0; n < scenario.links.size() && !checks->failed(); ++n) {
    int previous = -1;
    for (const Link& link : scenario.links[n]) {
      if (link.server < 0 || link.server >= servers) {
        checks->Require(false,
                        fmt::format("gain of users[{}]", n),
                        fmt::format("must name one of {} servers, got {}", servers, link.server));
      } else if (link.server <= previous) {
        checks->Require(false,
                        fmt::format("gain of users[{}]", n),
                        fmt::format("must name each server once, got servers[{}] after servers[{}]",
                                    link.server,
                                    previous));
      }
      checks->Positive(link.gain, "gain of users[{}] at servers[{}]", n, link.server);
      previous = link.server;
    }
  }
}

}  // namespace

bool IsNodeId(std::string_view id) {
  constexpr std::size_t kLengthMax = 64;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !id.empty() && id.size() <= kLengthMax && id.front() != '.' && id.front() != '-' &&
         std::all_of(id.begin(), id.end(), allowed);
}

Expected<void> ValidateRules(const Scenario& scenario) {
  Checks checks;
  CheckObjective(scenario.objective, &checks);
  checks.Positive(scenario.noise_density_w_per_hz, "noise_density_w_per_hz");
  CheckProfiles(scenario, &checks);
  CheckNodes(scenario, &checks);
  CheckLinks(scenario, &checks);
  return checks.Result();
}

Expected<void> Validate(const Scenario& scenario) {
  if (auto sound = ValidateRules(scenario); !sound) return sound;
  const Conflicts conflicts = FindConflicts(scenario);
  if (conflicts.empty()) return {};
  std::string why = DescribeFree();
  if (!conflicts.shortages.empty()) why = Describe(scenario, conflicts.shortages.front());
  if (!conflicts.splits.empty()) why = Describe(scenario, conflicts.splits.front());
  return Fail(ErrorKind::kInfeasible, "users", why);
}

}  // namespace dashf
