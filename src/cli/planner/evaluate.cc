// dashf evaluate: recompute everything about a plan from the scenario and its decisions.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/command.h"
#include "problem/evaluation.h"
#include "problem/evaluation_json.h"
#include "problem/plan_io.h"
#include "scenario/scenario_io.h"

namespace dashf::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::string scenario;
  std::string plan;
  bool json = false;
};

std::string JsonText(const Scenario& scenario, const Evaluation& evaluation) {
  ordered_json violations = ordered_json::array();
  for (const Violation& violation : evaluation.violations) {
    violations.push_back({{"where", violation.where},
                          {"rule", violation.rule},
                          {"value", FiniteOrNull(violation.value)},
                          {"limit", FiniteOrNull(violation.limit)}});
  }
  ordered_json users = ordered_json::array();
  for (std::size_t n = 0; n < evaluation.users.size(); ++n) {
    const UserEvaluation& user = evaluation.users[n];
    users.push_back({{"user", scenario.users[n].id},
                     {"delay_s", ToJson(user.delay_s)},
                     {"energy_j", ToJson(user.energy_j)},
                     {"score", FiniteOrNull(user.score)}});
  }
  return DumpRows({{"feasible", evaluation.feasible},
                   {"violations", violations},
                   {"scr", FiniteOrNull(evaluation.scr)},
                   {"score", FiniteOrNull(evaluation.score)},
                   {"cost", FiniteOrNull(evaluation.cost)},
                   {"delay_s", FiniteOrNull(evaluation.delay_s)},
                   {"energy_j", FiniteOrNull(evaluation.energy_j)},
                   {"users", users}});
}

// Of the column that holds all labels, or the beginnings of long ones.
template <class Node>
int LabelWidth(const std::vector<Node>& nodes) {
  std::size_t width = 10;
  for (const Node& node : nodes) width = std::max(width, Label(node).size());
  return static_cast<int>(std::min<std::size_t>(width, 36));
}

void PrintTable(const Scenario& scenario, const Plan& plan, const Evaluation& evaluation) {
  const int user_width = LabelWidth(scenario.users), server_width = LabelWidth(scenario.servers);
  const auto row =
      [&](const std::string& user, const std::string& server, const std::string& rest) {
        fmt::print("{:<{}.{}} {:<{}.{}} {}\n",
                   user,
                   user_width,
                   user_width,
                   server,
                   server_width,
                   server_width,
                   rest);
      };
  row("user",
      "server",
      fmt::format("{:>7} {:>11} {:>11} {:>11} {:>11} {:>11} {:>9}",
                  "k of L",
                  "local s",
                  "upload s",
                  "server s",
                  "download s",
                  "energy J",
                  "score"));
  for (std::size_t n = 0; n < evaluation.users.size(); ++n) {
    const UserEvaluation& user = evaluation.users[n];
    const int layers = scenario.ProfileOf(scenario.users[n]).layers();
    row(Label(scenario.users[n]),
        Label(scenario.servers[static_cast<std::size_t>(plan[n].server)]),
        fmt::format("{:>7} {:>11.5g} {:>11.5g} {:>11.5g} {:>11.5g} {:>11.5g} {:>9.4g}",
                    fmt::format("{}/{}", plan[n].local_layers, layers),
                    user.delay_s.local,
                    user.delay_s.upload,
                    user.delay_s.server,
                    user.delay_s.download,
                    user.energy_j.Sum(),
                    user.score));
  }
  fmt::print("\nscr {:.9g}   score {:.6g}   cost {:.6g}   delay {:.6g} s ({})   energy {:.6g} J\n",
             evaluation.scr,
             evaluation.score,
             evaluation.cost,
             evaluation.delay_s,
             scenario.objective.delay == DelayMode::kSum ? "sum" : "makespan",
             evaluation.energy_j);
  if (evaluation.feasible) {
    fmt::print("feasible\n");
    return;
  }
  fmt::print("infeasible:\n");
  for (const Violation& violation : evaluation.violations) {
    fmt::print("  {}: {} (value {:.12g}, limit {:.12g})\n",
               violation.where,
               violation.rule,
               violation.value,
               violation.limit);
  }
}

Expected<int> RunEvaluate(const Arguments& arguments) {
  const auto loaded = ReadScenario(arguments.scenario);
  if (!loaded) return tl::unexpected(loaded.error());
  const auto document = ReadPlan(arguments.plan, *loaded);
  if (!document) return tl::unexpected(document.error());
  const Evaluation evaluation = Evaluate(loaded->scenario, document->plan);
  if (arguments.json) {
    fmt::print("{}", JsonText(loaded->scenario, evaluation));
  } else {
    PrintTable(loaded->scenario, document->plan, evaluation);
  }
  return evaluation.feasible ? kExitOk : kExitInfeasible;
}

}  // namespace

void AddEvaluate(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb = app.add_subcommand(
      "evaluate", "Recompute delay, energy, score and every limit of a plan; exit 4 if infeasible");
  verb.add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file").required();
  verb.add_option("PLAN", arguments->plan, "dashf.plan/1 file").required();
  verb.add_flag("--json", arguments->json, "Write one JSON object instead of a table");
  verb.footer(
      "A plan made elsewhere needs no more than its decisions:\n"
      "  {\"schema\": \"dashf.plan/1\", \"assignments\": [{\"user\": \"u0\", \"server\": \"s1\", "
      "\"local_layers\": 3,\n   \"local_clock_hz\": 1e9, \"tx_power_w\": 0.2, \"bandwidth_hz\": "
      "2e6, "
      "\"server_tx_power_w\": 1,\n   \"server_clock_hz\": 3e8}, ...]}\n"
      "Examples:\n"
      "  dashf evaluate scenario.json plan.json\n"
      "  dashf evaluate scenario.json plan.json --json | jq .scr");
  verb.callback([arguments, &run] { run = [arguments] { return RunEvaluate(*arguments); }; });
}

}  // namespace dashf::cli
