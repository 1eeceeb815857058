#include "solvers/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/json.h"
#include "base/parallel.h"

namespace dashf::solvers {
namespace {

using nlohmann::ordered_json;

ComparisonRow Try(const Scenario& scenario,
                  const Method& method,
                  const ComparisonOptions& options) {
  const Stopwatch watch;
  const auto solved = method.solve(
      scenario, {.seed = options.seed, .time_limit_s = options.time_limit_s, .on_iteration = {}});
  ComparisonRow row{std::string(method.name), std::nullopt, "", watch.ElapsedS()};
  if (!solved) {
    row.note = solved.error().Text();
    return row;
  }
  row.note = Name(solved->termination);
  row.evaluation = Evaluate(scenario, solved->plan);
  if (!row.evaluation->feasible) {
    const Violation& first = row.evaluation->violations.front();
    row.note = fmt::format("{}: {}", first.where, first.rule);
    row.evaluation.reset();
  }
  return row;
}

double PercentOf(double best, double scr) {
  return best > 0.0 ? 100.0 * scr / best : 0.0;
}

}  // namespace

Expected<std::vector<const Method*>> SelectMethods(const std::vector<std::string>& names) {
  std::vector<const Method*> selected;
  if (names.empty()) {
    for (const Method& method : Methods()) selected.push_back(&method);
  }
  for (const std::string& name : names) {
    selected.push_back(FindMethod(name));
    if (selected.back() == nullptr) {
      return Fail(ErrorKind::kUsage, "methods", fmt::format("there is no method \"{}\"", name));
    }
  }
  return selected;
}

std::vector<ComparisonRow> CompareMethods(const Scenario& scenario,
                                          const std::vector<const Method*>& methods,
                                          const ComparisonOptions& options) {
  std::vector<ComparisonRow> rows(methods.size());
  ParallelFor(methods.size(), options.jobs, [&](std::size_t i) {
    if (options.on_start) options.on_start(std::string(methods[i]->name));
    rows[i] = Try(scenario, *methods[i], options);
  });
  return rows;
}

double BestScr(const std::vector<ComparisonRow>& rows) {
  double best = 0.0;
  for (const ComparisonRow& row : rows)
    best = std::max(best, row.evaluation ? row.evaluation->scr : 0.0);
  return best;
}

void PrintComparison(const std::vector<ComparisonRow>& rows) {
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
             "note");
  for (const ComparisonRow& row : rows) {
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
                 row.note);
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
               row.note);
  }
}

std::string ComparisonJson(const Scenario& scenario, const std::vector<ComparisonRow>& rows) {
  const double best = BestScr(rows);
  ordered_json methods = ordered_json::array();
  for (const ComparisonRow& row : rows) {
    ordered_json entry = {{"method", row.method},
                          {"solved", row.evaluation.has_value()},
                          {"note", row.note},
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
  return DumpRows({{"scenario", scenario.name},
                   {"delay", sum ? "sum" : "makespan"},
                   {"rows", std::move(methods)}});
}

}  // namespace dashf::solvers
