// dashf explain: why a plan is as it is.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/command.h"
#include "problem/plan_io.h"
#include "scenario/feasibility.h"
#include "scenario/scenario_io.h"
#include "solvers/explanation.h"

namespace dashf::cli {
namespace {

using nlohmann::ordered_json;
using solvers::CapacityValue;
using solvers::SharedResource;

// Above this many users only those that are named are explained: each takes many resource steps.
constexpr std::size_t kUsersUnasked = 30;

struct Arguments {
  std::string scenario, plan;
  std::vector<std::string> users;
  bool json = false;
};

const char* Name(SharedResource resource) {
  switch (resource) {
    case SharedResource::kBandwidth:
      return "bandwidth";
    case SharedResource::kPower:
      return "power";
    case SharedResource::kClock:
      return "clock";
  }
  return "";
}

std::string Amount(const Server& server, SharedResource resource) {
  switch (resource) {
    case SharedResource::kBandwidth:
      return fmt::format("{:.4g} MHz", server.bandwidth_hz * 1e-6);
    case SharedResource::kPower:
      return fmt::format("{:.4g} W", server.tx_power_w_max);
    case SharedResource::kClock:
      return fmt::format("{:.4g} GHz", server.compute.clock_hz_max * 1e-9);
  }
  return "";
}

Expected<std::vector<int>> UsersAskedFor(const Scenario& scenario,
                                         const std::vector<std::string>& ids) {
  std::vector<int> users;
  if (ids.empty() && scenario.users.size() <= kUsersUnasked) {
    users.resize(scenario.users.size());
    std::iota(users.begin(), users.end(), 0);
  }
  for (const std::string& id : ids) {
    const auto found = std::find_if(scenario.users.begin(),
                                    scenario.users.end(),
                                    [&](const User& user) { return user.id == id; });
    if (found == scenario.users.end()) {
      return Fail(ErrorKind::kUsage, "--user", fmt::format("there is no user \"{}\"", id));
    }
    users.push_back(static_cast<int>(found - scenario.users.begin()));
  }
  return users;
}

std::string ServerId(const Scenario& scenario, int server) {
  return scenario.servers[static_cast<std::size_t>(server)].id;
}

// "s1, k = 3: -0.24 %".
std::string Words(const Scenario& scenario,
                  const std::optional<solvers::Alternative>& alternative,
                  bool with_server) {
  if (!alternative) return "none";
  const std::string k = fmt::format(
      "k = {}: {:+.3f} %", alternative->choice.local_layers, 100.0 * alternative->scr_change);
  return with_server ? ServerId(scenario, alternative->choice.server) + ", " + k : k;
}

void PrintWords(const Scenario& scenario, const solvers::Explanation& explanation) {
  fmt::print("Better resources for the same servers and splits would add {:.3g} % SCR.\n\n",
             100.0 * explanation.unused_scr);
  fmt::print("What each server's resources limit (change of SCR if there were 1 % more)\n");
  fmt::print(
      "{:<10} {:<10} {:>12} {:>8} {:>12}\n", "server", "resource", "capacity", "used", "+1 %");
  for (const CapacityValue& value : explanation.capacities) {
    const Server& server = scenario.servers[static_cast<std::size_t>(value.server)];
    fmt::print("{:<10} {:<10} {:>12} {:>6.1f} % {:>+10.4f} %\n",
               Label(server),
               Name(value.resource),
               Amount(server, value.resource),
               100.0 * value.used_share,
               100.0 * value.scr_change_per_percent);
  }
  if (explanation.users.empty()) {
    fmt::print("\n{} users: name those to be explained with --user\n", scenario.users.size());
    return;
  }
  fmt::print("\nWhy each user is where it is (change of SCR with its next best choice)\n");
  fmt::print("{:<10} {:<10} {:>7}  {:<24} {}\n",
             "user",
             "server",
             "k of L",
             "best other split",
             "best other server with a free slot");
  for (const solvers::UserReason& reason : explanation.users) {
    const User& user = scenario.users[static_cast<std::size_t>(reason.user)];
    fmt::print("{:<10} {:<10} {:>7}  {:<24} {}\n",
               Label(user),
               Label(scenario.servers[static_cast<std::size_t>(reason.choice.server)]),
               fmt::format("{}/{}", reason.choice.local_layers, scenario.ProfileOf(user).layers()),
               Words(scenario, reason.other_split, false),
               Words(scenario, reason.other_server, true));
  }
}

ordered_json ToJson(const Scenario& scenario,
                    const std::optional<solvers::Alternative>& alternative) {
  if (!alternative) return nullptr;
  return {{"server", ServerId(scenario, alternative->choice.server)},
          {"local_layers", alternative->choice.local_layers},
          {"scr_change", alternative->scr_change}};
}

std::string JsonText(const Scenario& scenario, const solvers::Explanation& explanation) {
  ordered_json capacities = ordered_json::array(), users = ordered_json::array();
  for (const CapacityValue& value : explanation.capacities) {
    capacities.push_back({{"server", ServerId(scenario, value.server)},
                          {"resource", Name(value.resource)},
                          {"used_share", value.used_share},
                          {"scr_change_per_percent", value.scr_change_per_percent}});
  }
  for (const solvers::UserReason& reason : explanation.users) {
    users.push_back({{"user", scenario.users[static_cast<std::size_t>(reason.user)].id},
                     {"server", ServerId(scenario, reason.choice.server)},
                     {"local_layers", reason.choice.local_layers},
                     {"other_split", ToJson(scenario, reason.other_split)},
                     {"other_server", ToJson(scenario, reason.other_server)}});
  }
  return DumpRows(
      {{"unused_scr", explanation.unused_scr}, {"capacities", capacities}, {"users", users}});
}

// Sentences for every contradiction; returns the exit code.
int ExplainFeasibility(const Scenario& scenario, const Conflicts& conflicts, bool json) {
  std::vector<std::string> sentences;
  for (const auto& conflict : conflicts.splits) sentences.push_back(Describe(scenario, conflict));
  for (const auto& shortage : conflicts.shortages) {
    sentences.push_back(Describe(scenario, shortage));
  }
  if (conflicts.costs_nothing) sentences.push_back(DescribeFree());
  if (!conflicts.users_without_slot.empty()) {
    sentences.push_back(DescribeMissingSlots(scenario, conflicts));
  }
  if (json) {
    std::vector<std::string> without_slot;
    for (const int n : conflicts.users_without_slot) {
      without_slot.push_back(scenario.users[static_cast<std::size_t>(n)].id);
    }
    fmt::print("{}",
               DumpRows({{"feasible", conflicts.empty()},
                         {"conflicts", sentences},
                         {"missing_slots", without_slot.size()},
                         {"users_without_slot", without_slot}}));
  } else if (conflicts.empty()) {
    fmt::print("Every user finds a split that fits and a server with a slot: there is a plan.\n");
  } else {
    fmt::print("There is no plan:\n");
    for (const std::string& sentence : sentences) fmt::print("  {}\n", sentence);
  }
  return conflicts.empty() ? kExitOk : static_cast<int>(ErrorKind::kInfeasible);
}

Expected<int> RunExplain(const Arguments& arguments) {
  const auto loaded = ReadScenario(arguments.scenario, PlanExistence::kUnchecked);
  if (!loaded) return tl::unexpected(loaded.error());
  const Conflicts conflicts = FindConflicts(loaded->scenario);
  if (arguments.plan.empty() || !conflicts.empty()) {
    return ExplainFeasibility(loaded->scenario, conflicts, arguments.json);
  }
  const auto document = ReadPlan(arguments.plan, *loaded);
  if (!document) return tl::unexpected(document.error());
  const auto users = UsersAskedFor(loaded->scenario, arguments.users);
  if (!users) return tl::unexpected(users.error());
  const auto explanation = solvers::Explain(loaded->scenario, document->plan, *users);
  if (!explanation) return tl::unexpected(explanation.error());
  if (arguments.json) {
    fmt::print("{}", JsonText(loaded->scenario, *explanation));
  } else {
    PrintWords(loaded->scenario, *explanation);
  }
  return kExitOk;
}

}  // namespace

void AddExplain(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb = app.add_subcommand("explain",
                                    "Say what limits a plan and what each user's next best "
                                    "choice would cost, or why there is none");
  verb.add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file").required();
  verb.add_option("PLAN", arguments->plan, "dashf.plan/1 file; must be feasible");
  verb.add_option("--user", arguments->users, "These users' choices; by default all of up to 30")
      .delimiter(',');
  verb.add_flag("--json", arguments->json, "Write one JSON object instead of tables");
  verb.footer(
      "Changes of SCR are relative, with the resources of the servers concerned allocated anew.\n"
      "For a scenario without any plan it says which users' links, memory or slots contradict, in\n"
      "smallest sets, and how much is missing; exit 4.\n"
      "Examples:\n"
      "  dashf explain scenario.json plan.json\n"
      "  dashf explain scenario.json plan.json --user u7,u9 --json\n"
      "  dashf explain infeasible.json");
  verb.callback([arguments, &run] { run = [arguments] { return RunExplain(*arguments); }; });
}

}  // namespace dashf::cli
