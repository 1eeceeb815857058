// dashf sweep: a parameter study. Scenarios of the default study in which parameters are varied,
// several seeds of each, planned by several methods; means with confidence intervals as a table, as
// CSV and as a figure.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/termination.h"
#include "cli/command.h"
#include "cli/mpi/shared_work.h"
#include "cli/numbers.h"
#include "cli/planner/stopped.h"
#include "cli/planner/study_options.h"
#include "cli/planner/sweep_solve.h"
#include "report/interval_chart.h"
#include "solvers/comparison.h"
#include "sweep/summary.h"
#include "sweep/work.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using sweep::Design;
using sweep::SummaryRow;

constexpr std::size_t kSeriesMax = 8;  // With colours of their own.

struct Arguments {
  Design design;
  std::vector<std::string> vary;
  std::string seeds = "1..5";
  std::string out;
  int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool mpi = false;  // Already so: main() chose the program by it.
  bool json = false;
};

Expected<Design> DesignOf(const Arguments& arguments) {
  Design design = arguments.design;
  for (const std::string& text : arguments.vary) {
    auto varied = sweep::ParseVaried(text);
    if (!varied) return tl::unexpected(varied.error());
    design.varied.push_back(std::move(*varied));
  }
  auto seeds = sweep::ParseSeeds(arguments.seeds);
  if (!seeds) return tl::unexpected(seeds.error());
  design.seeds = std::move(*seeds);
  if (auto sound = design.Validate(); !sound) return tl::unexpected(sound.error());
  if (auto methods = solvers::SelectMethods(design.methods); !methods) {
    return tl::unexpected(methods.error());
  }
  return design;
}

// The first parameter along the axis, a series for each method and combination of the others.
report::IntervalChart ChartOf(const Design& design, const std::vector<SummaryRow>& rows) {
  report::IntervalChart chart{.title = "Service-cost ratio",
                              .x_label = design.varied.front().parameter,
                              .y_label = "SCR, mean over the seeds with 95 % intervals",
                              .ticks = {},
                              .with_zero = false,
                              .series = {}};
  const std::vector<double>& values = design.varied.front().values;
  for (const double value : values) chart.ticks.push_back(fmt::to_string(value));
  for (const SummaryRow& row : rows) {
    if (row.scr.values == 0) continue;
    std::string name = row.method;
    for (std::size_t i = 1; i < row.point.size(); ++i) {
      name += fmt::format(", {} = {}", design.varied[i].parameter, row.point[i]);
    }
    auto series = std::ranges::find(chart.series, name, &report::IntervalSeries::name);
    if (series == chart.series.end()) {
      chart.series.push_back({name, {}});
      series = chart.series.end() - 1;
    }
    const auto tick = std::ranges::find(values, row.point.front()) - values.begin();
    series->points.push_back({static_cast<int>(tick), row.scr.mean, row.scr.half_width});
  }
  return chart;
}

std::string Show(const ConfidenceInterval& interval, double factor, int digits) {
  if (interval.values == 0) return "-";
  const std::string mean = fmt::format("{:.{}f}", factor * interval.mean, digits);
  if (!std::isfinite(interval.half_width)) return mean;
  return fmt::format("{} +- {:.{}f}", mean, factor * interval.half_width, digits);
}

void PrintTable(const Design& design, const std::vector<SummaryRow>& rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SummaryRow& row = rows[i];
    if (i == 0 || row.point != rows[i - 1].point) {
      fmt::print(
          "{}{}, {} seeds\n", i == 0 ? "" : "\n", Text(design, row.point), design.seeds.size());
      fmt::print("  {:<19}{:>20}{:>18}{:>11}{:>11}{:>9}{:>8}\n",
                 "method",
                 "SCR",
                 "% of best",
                 "delay s",
                 "energy J",
                 "time s",
                 "failed");
    }
    fmt::print("  {:<19}{:>20}{:>18}{:>11.5g}{:>11.5g}{:>9.3f}{:>8}\n",
               row.method,
               Show(row.scr, 1.0, 5),
               Show(row.share_of_best, 100.0, 2),
               row.delay_s,
               row.energy_j,
               row.elapsed_s,
               row.failed);
  }
}

Expected<void> WriteFiles(const Design& design,
                          const std::vector<SummaryRow>& rows,
                          const fs::path& out) {
  const auto csv = WriteFileAtomically(out / "summary.csv", SummaryCsv(design, rows));
  if (!csv) return csv;
  const report::IntervalChart chart = ChartOf(design, rows);
  if (chart.series.size() > kSeriesMax) {
    fmt::print(stderr,
               "{} curves are more than a figure can hold ({}): none is drawn\n",
               chart.series.size(),
               kSeriesMax);
    return {};
  }
  const std::string svg = IntervalSvg(chart);
  return svg.empty() ? Expected<void>() : WriteFileAtomically(out / "scr.svg", svg);
}

Expected<int> RunSweep(const Arguments& arguments, Ranks* ranks) {
  const auto design = DesignOf(arguments);
  if (!design) return tl::unexpected(design.error());
  const fs::path out = arguments.out;
  auto results = sweep::Results::Open(out / "results.jsonl", *design);
  if (!results) return tl::unexpected(results.error());
  if (ranks == nullptr) {
    SayWhenStopped("stopped; the same command goes on from the results that there are");
  }
  const Stopwatch watch;
  const auto say = [&](std::size_t done, std::size_t of, const sweep::Job& job) {
    fmt::print(stderr,
               "[{:7.1f} s] {} of {}: {}, seed {}\n",
               watch.ElapsedS(),
               done,
               of,
               Text(*design, job.point),
               job.seed);
  };
  if (ranks != nullptr) Announce(SharedWork::kSweep, ranks);
  const auto worked = sweep::WorkOff(
      *design, SolveForSweep, {.jobs = arguments.jobs, .ranks = ranks, .on_done = say}, &*results);
  if (!worked) return tl::unexpected(worked.error());
  const std::vector<SummaryRow> rows = Summarise(*design, *results);
  if (auto written = WriteFiles(*design, rows, out); !written) {
    return tl::unexpected(written.error());
  }
  if (arguments.json) {
    fmt::print(
        "{}", DumpRows({{"confidence", sweep::kConfidence}, {"rows", SummaryJson(*design, rows)}}));
  } else {
    PrintTable(*design, rows);
  }
  fmt::print(stderr, "results are in {}\n", out.string());
  const bool failed = std::ranges::any_of(rows, [](const auto& row) { return row.failed > 0; });
  return failed ? kExitJobsFailed : kExitOk;
}

}  // namespace

void AddSweep(Command app, Run& run, Ranks* ranks) {
  const auto arguments = std::make_shared<Arguments>();
  arguments->design.methods = {"prices", "dashf", "greedy"};
  arguments->design.time_limit_s = std::numeric_limits<double>::infinity();
  Command verb = app.add_subcommand(
      "sweep", "Vary parameters of the default study and plan by several methods");
  verb.add_option("--vary",
                  arguments->vary,
                  fmt::format("PARAMETER=VALUE,VALUE,...; repeatable, all combinations are "
                              "planned. Parameters: {}",
                              fmt::join(sweep::ParameterNames(), ", ")))
      .required()
      .no_extra_args();
  verb.add_option("--seeds", arguments->seeds, "FIRST..LAST, or a list: a scenario for each")
      .capture_default_str();
  verb.add_option("--methods", arguments->design.methods, "Comma-separated")
      .delimiter(',')
      .capture_default_str();
  verb.add_option("--time-limit-s", arguments->design.time_limit_s, "For each method and scenario")
      .check(TimeLimit());
  verb.add_option("--out", arguments->out, "Folder; what it has of this study is not done again")
      .required();
  AddUsersOption(verb, &arguments->design.fixed);
  AddStudyOptions(verb, &arguments->design.fixed);
  verb.add_option(
          "--jobs",
          arguments->jobs,
          "Scenarios planned at once [the machine's cores; with --mpi one per process]; same "
          "plans with any number, but 1 gives the fairest times")
      .check(Range(1, 1024));
  verb.add_flag("--mpi",
                arguments->mpi,
                "Share the scenarios out over the processes that mpirun or srun started "
                "(docs/mpi.md)");
  verb.add_flag("--json", arguments->json, "Write one JSON object instead of a table");
  verb.footer(
      "Writes results.jsonl (a line per scenario, at once), summary.csv and scr.svg. Called again "
      "it\n"
      "goes on from there, also with more values or seeds. Exit 7 if a method gave no plan for "
      "some\n"
      "scenario.\n\n"
      "Examples:\n"
      "  dashf sweep --vary users=10,20,30,40 --servers 4 --out runs/users\n"
      "  dashf sweep --vary bandwidth-hz=5e6,10e6,20e6 --seeds 1..20 --methods prices,dashf --out "
      "runs/bandwidth\n"
      "  dashf sweep --vary users=20,40 --vary servers=2,4 --delay makespan --out runs/both "
      "--json\n"
      "  mpirun -n 8 dashf sweep --vary users=100,200,400 --servers 20 --mpi --out runs/large");
  verb.callback([arguments, &run, ranks] {
    run = [arguments, ranks] { return RunSweep(*arguments, ranks); };
  });
}

}  // namespace dashf::cli
