// dashf bench planner: the default method over sizes, each plan checked by the evaluator and each
// bound proven, as one table of medians over seeds; with --replan, what going on from a standing
// plan takes instead; with --families the instance library (bench_families.h).
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "certificate/verification.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/planner/bench_families.h"
#include "cli/planner/replanning.h"
#include "cli/size.h"
#include "cli/verbs.h"
#include "problem/evaluation.h"
#include "scenario/families.h"
#include "scenario/generator.h"
#include "scenario/places.h"
#include "solvers/comparison.h"
#include "solvers/method.h"

namespace dashf::cli {
namespace {

constexpr double kNearShare = 0.01;      // "Near": within this share of the bound.
constexpr int kAllLinksUsersMax = 1000;  // More users reach their strongest servers alone.
constexpr int kCandidates = 8;

struct Arguments {
  std::vector<std::string> sizes = {"10x2", "50x5", "1000x50"};
  std::vector<std::string> delays = {"sum", "makespan"};
  std::vector<std::string> eua;
  int seeds = 3;
  bool replan = false;
  bool json = false, csv = false;
  solvers::SolveOptions options;
  std::vector<std::string> families, baselines;
  double baseline_limit_s = 10.0;
  std::string out;
};

struct Measurement {
  std::optional<double> gap;  // Proven; none where there is no certificate.
  double elapsed_s = 0.0, prove_s = 0.0;
  std::optional<double> near_s;  // When the first plan within kNearShare of the bound was there.
};

std::optional<int> CandidatesFor(const Size& size) {
  return size.users > kAllLinksUsersMax ? std::optional(kCandidates) : std::nullopt;
}

Expected<Scenario> MakeScenario(const Arguments& arguments,
                                const Size& size,
                                const std::string& delay,
                                std::uint64_t seed) {
  GeneratorOptions options;
  options.delay = delay == "makespan" ? DelayMode::kMakespan : DelayMode::kSum;
  if (size.users == 0) {
    const auto places = ReadPlaces(arguments.eua[0], arguments.eua[1]);
    if (!places) return tl::unexpected(places.error());
    return GenerateAt(places->geography, kCandidates, options, Rng(seed));
  }
  return GenerateStudy(size.users, size.servers, options, Rng(seed), CandidatesFor(size));
}

Expected<Measurement> Measure(const Arguments& arguments, const Scenario& scenario) {
  solvers::SolveOptions options = arguments.options;
  std::vector<IterationRecord> rows;
  options.on_iteration = [&rows](const IterationRecord& row) { rows.push_back(row); };
  const solvers::Method* method = solvers::FindMethod("prices");
  Measurement measurement;
  Stopwatch solving;
  const auto solved = method->solve(scenario, options);
  measurement.elapsed_s = solving.ElapsedS();
  if (!solved) return tl::unexpected(solved.error());
  const Evaluation evaluation = Evaluate(scenario, solved->plan);
  if (!evaluation.feasible) {
    return Fail(ErrorKind::kNumerical, scenario.name, "the plan breaks a limit");
  }
  if (!solved->certificate) return measurement;
  Stopwatch proving;
  const auto proven =
      certificate::RaiseToProof(scenario, *solved->certificate, arguments.options.threads);
  measurement.prove_s = proving.ElapsedS();
  if (!proven) return tl::unexpected(proven.error());
  measurement.gap = 1.0 - evaluation.scr / proven->scr_upper;
  const auto near = std::find_if(rows.begin(), rows.end(), [&](const IterationRecord& row) {
    return row.scr >= (1.0 - kNearShare) * proven->scr_upper;
  });
  if (near != rows.end()) measurement.near_s = near->elapsed_s;
  return measurement;
}

// None where less than half of the seeds have the value.
std::optional<double> Median(const std::vector<Measurement>& all,
                             std::optional<double> (*value)(const Measurement&)) {
  std::vector<double> values;
  for (const Measurement& one : all) {
    values.push_back(value(one).value_or(std::numeric_limits<double>::infinity()));
  }
  std::sort(values.begin(), values.end());
  const double median = values[values.size() / 2];
  return std::isfinite(median) ? std::optional(median) : std::nullopt;
}

double PeakMib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

nlohmann::ordered_json RowOf(const Size& size,
                             const std::string& delay,
                             const std::vector<Measurement>& all) {
  const auto cell = [](std::optional<double> value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
  };
  const auto gap = [](const Measurement& one) { return one.gap; };
  const auto near = [](const Measurement& one) { return one.near_s; };
  const auto solve = [](const Measurement& one) { return std::optional(one.elapsed_s); };
  const auto prove = [](const Measurement& one) {
    return one.gap ? std::optional(one.prove_s) : std::nullopt;
  };
  return {{"size", size.name},
          {"delay", delay},
          {"gap", cell(Median(all, gap))},
          {"near_s", cell(Median(all, near))},
          {"solve_s", cell(Median(all, solve))},
          {"prove_s", cell(Median(all, prove))},
          {"peak_mib", PeakMib()}};
}

void PrintRow(const nlohmann::ordered_json& row) {
  const auto cell = [&](const char* key, double factor, int digits) {
    return row[key].is_null() ? "-"
                              : fmt::format("{:.{}f}", factor * row[key].get<double>(), digits);
  };
  fmt::print("{:<14} {:<9} {:>9} {:>10} {:>10} {:>10} {:>10}\n",
             row["size"].get<std::string>(),
             row["delay"].get<std::string>(),
             cell("gap", 100.0, 4),
             cell("near_s", 1.0, 3),
             cell("solve_s", 1.0, 3),
             cell("prove_s", 1.0, 3),
             cell("peak_mib", 1.0, 0));
}

Expected<std::vector<Size>> ParseSizes(const Arguments& arguments) {
  std::vector<Size> sizes;
  for (const std::string& name : arguments.sizes) {
    const auto size = ParseSize(name);
    if (!size) return tl::unexpected(size.error());
    sizes.push_back(*size);
  }
  if (!arguments.eua.empty()) sizes.push_back({"eua"});
  return sizes;
}

void PrintJson(const Arguments& arguments, const nlohmann::ordered_json& rows) {
  fmt::print("{}",
             DumpRows({{"seeds", arguments.seeds},
                       {"threads", arguments.options.threads},
                       {"gap_target", arguments.options.gap_target},
                       {"rows", rows}}));
}

void PrintReplanning(const nlohmann::ordered_json& row) {
  const double afresh_s = row["afresh_s"], replan_s = row["replan_s"];
  fmt::print(
      "{:<12} {:<12} {:>4} {:>10.3f} {:>10.3f} {:>7.1f} {:>5} {:>9} {:>9} {:>9.4f} {:>9.4f}\n",
      row["size"].get<std::string>(),
      row["change"].get<std::string>(),
      row["seed"].get<int>(),
      afresh_s,
      replan_s,
      100.0 * replan_s / afresh_s,
      row["users_displaced"].get<int>(),
      row["handovers_afresh"].get<int>(),
      row["handovers"].get<int>(),
      100.0 * row["gap_afresh"].get<double>(),
      100.0 * row["gap"].get<double>());
}

Expected<int> RunReplan(const Arguments& arguments) {
  const auto sizes = ParseSizes(arguments);
  if (!sizes) return tl::unexpected(sizes.error());
  if (!arguments.json) {
    fmt::print("{:<12} {:<12} {:>4} {:>10} {:>10} {:>7} {:>5} {:>9} {:>9} {:>9} {:>9}\n",
               "size",
               "change",
               "seed",
               "afresh (s)",
               "replan (s)",
               "ratio %",
               "must",
               "ho afresh",
               "handovers",
               "gap afr %",
               "gap (%)");
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Size& size : *sizes) {
    for (int seed = 1; seed <= arguments.seeds; ++seed) {
      const Rng rng(static_cast<std::uint64_t>(seed));
      const auto before = MakeScenario(arguments, size, "sum", static_cast<std::uint64_t>(seed));
      if (!before) return tl::unexpected(before.error());
      const std::pair<const char*, Expected<Scenario>> changes[] = {
          {"users moved", WithUsersMoved(*before, rng.Stream("moved"))},
          {"server gone", WithoutOneServer(*before, rng.Stream("gone"))}};
      for (const auto& [change, now] : changes) {
        if (!now) return tl::unexpected(now.error());
        const auto measured = MeasureReplanning(*before, *now, arguments.options);
        if (!measured) return tl::unexpected(measured.error());
        rows.push_back({{"size", size.name},
                        {"change", change},
                        {"seed", seed},
                        {"afresh_s", measured->afresh_s},
                        {"replan_s", measured->replan_s},
                        {"users_displaced", measured->users_displaced},
                        {"handovers_afresh", measured->handovers_afresh},
                        {"handovers", measured->handovers},
                        {"gap_afresh", measured->gap_afresh},
                        {"gap", measured->gap}});
        if (!arguments.json) PrintReplanning(rows.back());
      }
    }
  }
  if (arguments.json) PrintJson(arguments, rows);
  return kExitOk;
}

Expected<int> RunOnFamilies(const Arguments& arguments) {
  const auto sizes = ParseSizes(arguments);
  if (!sizes) return tl::unexpected(sizes.error());
  FamiliesBench bench{.families = arguments.families,
                      .sizes = {},
                      .delays = arguments.delays,
                      .seeds = arguments.seeds,
                      .journal = arguments.out,
                      .effort = {arguments.options, arguments.baseline_limit_s, {}},
                      .scenario = {}};
  for (const Size& size : *sizes) bench.sizes.push_back({size.name, size.users, size.servers});
  if (arguments.json) bench.output = FamiliesBench::Output::kJson;
  if (arguments.csv) bench.output = FamiliesBench::Output::kCsv;
  const auto methods = solvers::SelectMethods(arguments.baselines);
  if (!methods) return tl::unexpected(methods.error());
  for (const solvers::Method* method : *methods) {
    if (method->name != "prices") bench.effort.baselines.emplace_back(method->name);
  }
  bench.scenario = [&arguments](const std::string& family,
                                const FamiliesBench::Size& of,
                                const std::string& delay,
                                std::uint64_t seed) {
    const Size size{of.name, of.users, of.servers};
    GeneratorOptions options;
    options.delay = delay == "makespan" ? DelayMode::kMakespan : DelayMode::kSum;
    return GenerateFamily(
        family, size.users, size.servers, options, Rng(seed), CandidatesFor(size));
  };
  return RunFamilies(bench);
}

Expected<int> RunBench(const Arguments& arguments) {
  const auto sizes = ParseSizes(arguments);
  if (!sizes) return tl::unexpected(sizes.error());
  if (!arguments.json) {
    fmt::print("{:<14} {:<9} {:>9} {:>10} {:>10} {:>10} {:>10}\n",
               "size",
               "delay",
               "gap (%)",
               "to 1 % (s)",
               "solve (s)",
               "prove (s)",
               "peak (MiB)");
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Size& size : *sizes) {
    for (const std::string& delay : arguments.delays) {
      std::vector<Measurement> all;
      for (int seed = 1; seed <= arguments.seeds; ++seed) {
        const auto scenario =
            MakeScenario(arguments, size, delay, static_cast<std::uint64_t>(seed));
        if (!scenario) return tl::unexpected(scenario.error());
        const auto measured = Measure(arguments, *scenario);
        if (!measured) return tl::unexpected(measured.error());
        all.push_back(*measured);
      }
      rows.push_back(RowOf(size, delay, all));
      if (!arguments.json) PrintRow(rows.back());
    }
  }
  if (arguments.json) PrintJson(arguments, rows);
  return kExitOk;
}

// With --families, and how the rows are written.
void AddFamilyOptions(const std::shared_ptr<Arguments>& arguments,
                      Command planner,
                      Option eua,
                      Option replan) {
  Option families = planner.add_option("--families",
                                       arguments->families,
                                       "Families of dashf new --family, comma-separated, or all: "
                                       "the default against every baseline");
  families.delimiter(',').excludes(replan).excludes(eua);
  planner
      .add_option("--baselines",
                  arguments->baselines,
                  "Methods that --families compares with, comma-separated [all]")
      .delimiter(',')
      .needs(families);
  planner
      .add_option("--baseline-time-limit-s",
                  arguments->baseline_limit_s,
                  "For each plan of a baseline with --families")
      .check(TimeLimit())
      .capture_default_str()
      .needs(families);
  planner
      .add_option("--out",
                  arguments->out,
                  "File for each scenario's results with --families, as JSON lines; what it has is "
                  "not measured again")
      .needs(families);
  Option json =
      planner.add_flag("--json", arguments->json, "Write one JSON object instead of a table");
  planner.add_flag("--csv", arguments->csv, "Write CSV instead of a table, with --families")
      .excludes(json)
      .needs(families);
}

}  // namespace

void AddBench(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb =
      app.add_subcommand("bench", "Measure planning, training or the runtime on this machine");
  verb.require_subcommand();
  verb.footer("Examples:\n  dashf bench planner --sizes 10x2,50x5 --delay sum");
  ListEngineSubcommands(verb, "bench");
  Command planner = verb.add_subcommand(
      "planner", "Gap, time and memory of method prices by size; medians over seeds 1, 2, ...");
  solvers::SolveOptions& options = arguments->options;
  options.wants_bound = true;
  options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  planner
      .add_option("--sizes",
                  arguments->sizes,
                  "USERSxSERVERS of the default study, comma-separated; above 1000 users each "
                  "reaches its 8 strongest servers")
      .delimiter(',')
      .capture_default_str();
  Option delay = planner.add_option("--delay", arguments->delays, "Delay modes, comma-separated");
  delay.delimiter(',').check(IsMember({"sum", "makespan"})).capture_default_str();
  Option eua =
      planner
          .add_option(
              "--eua", arguments->eua, "Also the EUA data set: CSV files of sites and of users")
          .type_name("SITES USERS")
          .expected(2);
  planner.add_option("--seeds", arguments->seeds, "Scenarios per row")
      .check(Range(1, 1000))
      .capture_default_str();
  planner.add_option("--gap-target", options.gap_target, "As in solve")
      .check(Within(0.0, 1.0))
      .capture_default_str();
  planner.add_option("--time-limit-s", options.time_limit_s, "For each plan").check(TimeLimit());
  planner.add_option("--threads", options.threads, "Threads [the machine's]").check(Range(1, 1024));
  Option replan =
      planner
          .add_flag(
              "--replan",
              arguments->replan,
              "Measure going on from a standing plan (solve --from) after 1 % of the users have "
              "moved, and after a server has vanished, against planning afresh (sum)")
          .excludes(delay);
  AddFamilyOptions(arguments, planner, eua, replan);
  planner.footer(
      "Every plan is checked by the evaluator and every bound is proven. peak is the process's, "
      "over "
      "all rows so far.\n"
      "With --families each side runs in a process of its own, and times are processor time. Exit "
      "7 "
      "if the\n"
      "default ends below a baseline (by more than the gap target) or without a plan, or a bound "
      "lies below\n"
      "a plan; such rows are marked BROKEN.\n"
      "Examples:\n"
      "  dashf bench planner\n"
      "  dashf bench planner --sizes 10000x200 --delay sum --seeds 1\n"
      "  dashf bench planner --sizes 50x5 --json | jq '.rows[0].gap'\n"
      "  dashf bench planner --families all --sizes 6x2,50x5 --delay sum --out families.jsonl");
  planner.callback([arguments, &run] {
    run = [arguments] {
      if (!arguments->families.empty()) return RunOnFamilies(*arguments);
      return arguments->replan ? RunReplan(*arguments) : RunBench(*arguments);
    };
  });
}

}  // namespace dashf::cli
