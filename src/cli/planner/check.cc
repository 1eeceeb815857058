// dashf check: what a scenario says that is hardly meant, before anything is planned with it.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/command.h"
#include "cli/planner/doubts.h"
#include "scenario/feasibility.h"
#include "scenario/scenario_io.h"

namespace dashf::cli {
namespace {

struct Arguments {
  std::string scenario;
  bool strict = false;
  bool json = false;
};

void PrintJson(const std::vector<Doubt>& doubts, bool feasible) {
  nlohmann::ordered_json warnings = nlohmann::ordered_json::array();
  for (const Doubt& doubt : doubts) {
    warnings.push_back({{"kind", doubt.kind},
                        {"count", doubt.count},
                        {"where", doubt.where},
                        {"value", doubt.value ? nlohmann::ordered_json(*doubt.value) : nullptr},
                        {"message", doubt.message}});
  }
  fmt::print("{}", DumpRows({{"feasible", feasible}, {"warnings", warnings}}));
}

Expected<int> RunCheck(const Arguments& arguments) {
  const auto loaded = ReadScenario(arguments.scenario, PlanExistence::kUnchecked);
  if (!loaded) return tl::unexpected(loaded.error());
  const std::vector<Doubt> doubts = FindDoubts(loaded->scenario);
  const bool feasible = FindConflicts(loaded->scenario).empty();
  if (arguments.json) {
    PrintJson(doubts, feasible);
  } else {
    for (const Doubt& doubt : doubts) fmt::print("warning: {}\n", Sentence(doubt));
    if (!feasible) fmt::print("there is no plan: dashf explain {} says why\n", arguments.scenario);
    if (doubts.empty() && feasible) fmt::print("nothing looks wrong\n");
  }
  if (!feasible) return kExitInfeasible;
  return arguments.strict && !doubts.empty() ? static_cast<int>(ErrorKind::kBadInput) : kExitOk;
}

}  // namespace

void AddCheck(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb = app.add_subcommand(
      "check",
      "Warn of numbers in a scenario that look like another unit, of links below the noise and of "
      "servers that nobody reaches");
  verb.add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file").required();
  verb.add_flag("--strict", arguments->strict, "Exit 3 if there is a warning");
  verb.add_flag("--json", arguments->json, "Write one JSON object instead of sentences");
  verb.footer(
      "Exit 0 with or without warnings, 3 for a file that breaks a rule (or with --strict for a "
      "warning),\n4 for a scenario without any plan.\n"
      "Examples:\n"
      "  dashf check scenario.json\n"
      "  dashf check scenario.json --strict --json | jq '.warnings[].kind'");
  verb.callback([arguments, &run] { run = [arguments] { return RunCheck(*arguments); }; });
}

}  // namespace dashf::cli
