// dashf compare: every method on one scenario, one table. A method that does not apply is a row
// with the reason.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/command.h"
#include "problem/evaluation.h"
#include "scenario/scenario_io.h"
#include "solvers/method.h"

namespace dashf::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::string scenario;
  std::vector<std::string> methods;  // Empty: all.
  std::uint64_t seed = 1;
  double time_limit_s = std::numeric_limits<double>::infinity();
  bool json = false;
};

struct Row {
  std::string method;
  std::optional<Evaluation> evaluation;  // None where the method gave no plan.
  std::string outcome;                   // Termination, or why there is no plan.
  double elapsed_s = 0.0;
};

Row Try(const Scenario& scenario, const solvers::Method& method, const Arguments& arguments) {
  const Stopwatch watch;
  const auto solved = method.solve(
      scenario,
      {.seed = arguments.seed, .time_limit_s = arguments.time_limit_s, .on_iteration = {}});
  Row row{std::string(method.name), std::nullopt, "", watch.ElapsedS()};
  if (!solved) {
    row.outcome = solved.error().Text();
    return row;
  }
  row.outcome = Name(solved->termination);
  row.evaluation = Evaluate(scenario, solved->plan);
  if (!row.evaluation->feasible) {
    const Violation& first = row.evaluation->violations.front();
    row.outcome = fmt::format("{}: {}", first.where, first.rule);
    row.evaluation.reset();
  }
  return row;
}

double BestScr(const std::vector<Row>& rows) {
  double best = 0.0;
  for (const Row& row : rows) best = std::max(best, row.evaluation ? row.evaluation->scr : 0.0);
  return best;
}

double PercentOf(double best, double scr) {
  return best > 0.0 ? 100.0 * scr / best : 0.0;
}

void PrintTable(const std::vector<Row>& rows) {
  const double best = BestScr(rows);
  fmt::print("{:<17} {:>12} {:>9} {:>10} {:>11} {:>11} {:>11} {:>9}  {}\n",
             "method",
             "scr",
             "% of best",
             "score",
             "cost",
             "delay s",
             "energy J",
             "time s",
             "outcome");
  for (const Row& row : rows) {
    if (!row.evaluation) {
      fmt::print("{:<17} {:>12} {:>9} {:>10} {:>11} {:>11} {:>11} {:>9.3f}  {}\n",
                 row.method,
                 "-",
                 "-",
                 "-",
                 "-",
                 "-",
                 "-",
                 row.elapsed_s,
                 row.outcome);
      continue;
    }
    const Evaluation& evaluation = *row.evaluation;
    fmt::print("{:<17} {:>12.6e} {:>9.2f} {:>10.4f} {:>11.5g} {:>11.5g} {:>11.5g} {:>9.3f}  {}\n",
               row.method,
               evaluation.scr,
               PercentOf(best, evaluation.scr),
               evaluation.score,
               evaluation.cost,
               evaluation.delay_s,
               evaluation.energy_j,
               row.elapsed_s,
               row.outcome);
  }
}

void PrintJson(const Scenario& scenario, const std::vector<Row>& rows) {
  const double best = BestScr(rows);
  ordered_json methods = ordered_json::array();
  for (const Row& row : rows) {
    ordered_json entry = {{"method", row.method},
                          {"solved", row.evaluation.has_value()},
                          {"note", row.outcome},
                          {"elapsed_s", row.elapsed_s}};
    if (row.evaluation) {
      entry["scr"] = row.evaluation->scr;
      entry["percent_of_best"] = PercentOf(best, row.evaluation->scr);
      entry["score"] = row.evaluation->score;
      entry["cost"] = row.evaluation->cost;
      entry["delay_s"] = row.evaluation->delay_s;
      entry["energy_j"] = row.evaluation->energy_j;
    }
    methods.push_back(std::move(entry));
  }
  const bool sum = scenario.objective.delay == DelayMode::kSum;
  fmt::print("{}",
             DumpRows({{"scenario", scenario.name},
                       {"delay", sum ? "sum" : "makespan"},
                       {"rows", std::move(methods)}}));
}

Expected<std::vector<const solvers::Method*>> Selected(const Arguments& arguments) {
  std::vector<const solvers::Method*> selected;
  if (arguments.methods.empty()) {
    for (const solvers::Method& method : solvers::Methods()) selected.push_back(&method);
  }
  for (const std::string& name : arguments.methods) {
    selected.push_back(solvers::FindMethod(name));
    if (selected.back() == nullptr) {
      return Fail(ErrorKind::kUsage, "--methods", fmt::format("there is no method \"{}\"", name));
    }
  }
  return selected;
}

Expected<int> RunCompare(const Arguments& arguments) {
  const auto selected = Selected(arguments);
  if (!selected) return tl::unexpected(selected.error());
  const auto loaded = ReadScenario(arguments.scenario);
  if (!loaded) return tl::unexpected(loaded.error());
  std::vector<Row> rows;
  for (const solvers::Method* method : *selected) {
    fmt::print(stderr, "{} ...\n", method->name);
    rows.push_back(Try(loaded->scenario, *method, arguments));
  }
  if (arguments.json) {
    PrintJson(loaded->scenario, rows);
  } else {
    PrintTable(rows);
  }
  return kExitOk;
}

}  // namespace

void AddCompare(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("compare", "Plan one scenario by every method and print one table");
  verb->add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file")->required();
  verb->add_option("--methods", arguments->methods, "Comma-separated; all by default")
      ->delimiter(',');
  verb->add_option("--seed", arguments->seed, "For the methods that draw at random")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 62))
      ->capture_default_str();
  verb->add_option("--time-limit-s", arguments->time_limit_s, "For each method")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--json", arguments->json, "Write one JSON object instead of a table");
  verb->footer(
      "Examples:\n"
      "  dashf compare scenario.json\n"
      "  dashf compare scenario.json --methods dashf,greedy,exhaustive --json");
  verb->callback([arguments, &run] { run = [arguments] { return RunCompare(*arguments); }; });
}

}  // namespace dashf::cli
