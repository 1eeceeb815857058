// dashf compare: every method on one scenario, one table. A method that does not apply is a row
// with the reason.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cli/command.h"
#include "cli/numbers.h"
#include "scenario/scenario_io.h"
#include "solvers/comparison.h"

namespace dashf::cli {
namespace {

struct Arguments {
  std::string scenario;
  std::vector<std::string> methods;  // Empty: all.
  std::uint64_t seed = 1;
  double time_limit_s = std::numeric_limits<double>::infinity();
  int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool json = false;
};

Expected<int> RunCompare(const Arguments& arguments) {
  const auto selected = solvers::SelectMethods(arguments.methods);
  if (!selected) return tl::unexpected(selected.error());
  const auto loaded = ReadScenario(arguments.scenario);
  if (!loaded) return tl::unexpected(loaded.error());
  const auto rows = solvers::CompareMethods(
      loaded->scenario,
      *selected,
      {.seed = arguments.seed,
       .time_limit_s = arguments.time_limit_s,
       .jobs = arguments.jobs,
       .on_start = [](const std::string& method) { fmt::print(stderr, "{} ...\n", method); }});
  if (arguments.json) {
    fmt::print("{}", solvers::ComparisonJson(loaded->scenario, rows));
  } else {
    solvers::PrintComparison(rows);
  }
  return kExitOk;
}

}  // namespace

void AddCompare(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb =
      app.add_subcommand("compare", "Plan one scenario by every method and print one table");
  verb.add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file").required();
  verb.add_option("--methods", arguments->methods, "Comma-separated; all by default")
      .delimiter(',');
  verb.add_option("--seed", arguments->seed, "For the methods that draw at random")
      .check(Range(std::uint64_t{0}, std::uint64_t{1} << 62))
      .capture_default_str();
  verb.add_option("--time-limit-s", arguments->time_limit_s, "For each method").check(TimeLimit());
  verb.add_option("--jobs",
                  arguments->jobs,
                  "Methods planned at once [the machine's cores]; same plans with any number, but "
                  "1 gives the fairest times")
      .check(Range(1, 1024));
  verb.add_flag("--json", arguments->json, "Write one JSON object instead of a table");
  verb.footer(
      "Examples:\n"
      "  dashf compare scenario.json\n"
      "  dashf compare scenario.json --methods dashf,greedy,exhaustive --json\n"
      "  dashf compare scenario.json --jobs 1  # one after the other, for their times");
  verb.callback([arguments, &run] { run = [arguments] { return RunCompare(*arguments); }; });
}

}  // namespace dashf::cli
