// dashf study split: what a split costs in quality, time, memory and bytes, against training all
// layers in one place.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/runtime/study_data.h"
#include "cli/runtime/study_tables.h"
#include "cli/verbs.h"
#include "runtime/learning.h"
#include "runtime/run_config.h"
#include "study/jobs.h"
#include "study/summary.h"
#include "train/compute.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using runtime::RunConfig;

struct Flags {
  StudySource source;
  std::string out;
  int repetitions = 3;
  std::vector<std::string> schedules = {"plain", "rounds=3"};
  std::vector<std::string> objectives = {"early_exit", "full_depth"};
  std::vector<int> splits;  // Empty: all.
  int processes = 1;
  bool no_averages = false;
  bool json = false;
};

double UserShare(const runtime::TrainingSettings& training) {
  return static_cast<double>(training.epochs_user) /
         (training.epochs_user + training.epochs_server);
}

Expected<study::Design> DesignOf(const RunConfig& config, const Flags& flags, int layers) {
  const runtime::TrainingSettings& training = config.training;
  study::Design design{.adapter = training.adapter,
                       .training = training.OptionsFor(1),
                       .passes = training.epochs_user + training.epochs_server,
                       .schedules = {},
                       .objectives = {},
                       .splits = flags.splits,
                       .averages = !flags.no_averages};
  for (const std::string& text : flags.schedules) {
    const auto schedule = study::ParseSchedule(text, UserShare(training));
    if (!schedule) return tl::unexpected(schedule.error());
    design.schedules.push_back(*schedule);
  }
  for (const std::string& name : flags.objectives) {
    design.objectives.push_back(name == "early_exit" ? train::UserObjective::kEarlyExit
                                                     : train::UserObjective::kFullDepth);
  }
  if (design.splits.empty()) {
    design.splits.resize(static_cast<std::size_t>(layers) + 1);
    std::iota(design.splits.begin(), design.splits.end(), 0);
  }
  for (const int k : design.splits) {
    if (k >= 0 && k <= layers) continue;
    return Fail(
        ErrorKind::kUsage, "--splits", fmt::format("must be in [0, {}], got {}", layers, k));
  }
  return design;
}

Expected<void> WriteAll(const fs::path& out,
                        const StudyTitle& title,
                        const study::Summary& summary,
                        const std::vector<corpus::DataReport>& taken,
                        bool json) {
  const std::string markdown = StudyMarkdown(title, summary);
  const nlohmann::ordered_json rows = StudyRows(title, summary);
  const std::pair<const char*, std::string> files[] = {{"report.md", markdown},
                                                       {"split.csv", StudyCsv(rows)},
                                                       {"split.svg", StudySvg(title, summary)}};
  for (const auto& [name, bytes] : files) {
    if (auto written = WriteFileAtomically(out / name, bytes); !written) return written;
  }
  fmt::print("{}", json ? DumpRows({{"data", ToJson(taken)}, {"rows", rows}}) : markdown);
  return {};
}

StudyTitle TitleOf(const RunConfig& config, const Flags& flags, int layers) {
  return {.model = fs::path(config.model).filename().string(),
          .data = DataName(config),
          .users = config.scenario.users,
          .repetitions = flags.repetitions,
          .layers = layers,
          .passes = config.training.epochs_user + config.training.epochs_server,
          .user_share = UserShare(config.training)};
}

Expected<int> RunSplit(const Flags& flags) {
  auto config = Configure(flags.source);
  if (!config) return tl::unexpected(config.error());
  const auto loaded = LoadStudyModel(&*config);
  if (!loaded) return tl::unexpected(loaded.error());
  const runtime::BaseModel& base = loaded->base;
  const int layers = base.model.config().layers;
  const auto design = DesignOf(*config, flags, layers);
  if (!design) return tl::unexpected(design.error());
  const auto settings = SettingsOf(*config, loaded->storage);
  if (!settings) return tl::unexpected(settings.error());
  auto results = study::Results::Open(fs::path(flags.out) / "results.jsonl", *settings);
  if (!results) return tl::unexpected(results.error());
  std::vector<corpus::DataReport> taken;
  std::vector<study::Repetition> repetitions;
  for (int i = 1; i <= flags.repetitions; ++i) {
    auto read = ReadRepetition(*config, static_cast<std::uint64_t>(i), flags.out, base, &taken);
    if (!read) return tl::unexpected(read.error());
    repetitions.push_back(std::move(*read));
  }

  std::optional<int> signal;
  const study::StudyRun run{
      .out = flags.out,
      .processes = flags.processes,
      .base_name = config->model,
      .stopped = StopOn(&signal),
      .progress = [](const std::string& line) { fmt::print(stderr, "{}\n", line); }};
  Expected<study::Tally> tally = study::Tally{};
  if (flags.processes > 0) {
    tally = study::CarryOutAll(base.model, repetitions, *design, run, &*results);
  }
  if (!tally) return tl::unexpected(tally.error());
  if (signal) {
    fmt::print(stderr,
               "stopped with {} results in {}: the same command goes on from there\n",
               results->size(),
               (fs::path(flags.out) / "results.jsonl").string());
    return 128 + *signal;
  }
  const auto summary = study::Summarise(base.model.config(), repetitions, *design, *results);
  if (!summary) return tl::unexpected(summary.error());
  const StudyTitle title = TitleOf(*config, flags, layers);
  if (auto written = WriteAll(flags.out, title, *summary, taken, flags.json); !written) {
    return tl::unexpected(written.error());
  }
  if (tally->failed > 0) {
    fmt::print(stderr,
               "{} of {} jobs failed; the same command tries them again\n",
               tally->failed,
               tally->jobs);
  }
  return tally->failed > 0 ? kExitJobsFailed : kExitOk;
}

constexpr const char* kFooter =
    R"(CONFIG is a configuration of `dashf run` (configs/README.md): its model, data, adapter and training
are taken; epochs_user + epochs_server passes are what every training makes. For each user and
repetition the same first adapter is trained on the same data in all the ways asked for: for every k
the user trains layers 1..k and the server the others, with both losses of the user's phase and by
every --schedule,
  plain           the user's phase, then the server's, as in `dashf run`
  rounds=N        in turns, N times
  overlap=N       the server also trains the user's last N layers
  joint=SHARE     for the last SHARE of all steps, the server trains all layers
  share=SHARE     the user's share of the other steps [epochs_user / all]
  server-first    the server's phase before the user's
or several joined by commas; and in one place, with as many steps and with as many FLOP.

Written to OUT: results.jsonl (a line per training; what is there is not done again), split.csv,
split.svg, report.md, data/, adapters/ (each user's own). docs/split.md says how to read them.
Exit 7: some jobs failed; the others are kept. The same command goes on where a stopped one was.

Examples:
  dashf study split configs/demo.toml --out runs/split --users 4 --repetitions 2
  dashf study split configs/demo.toml --out runs/split --schedule rounds=3,joint=0.1 --splits 2,4
  dashf study split configs/stories260k-alpaca.toml --model stories260K --data records.json
    --out runs/stories --jobs 2)";

}  // namespace

void AddStudySplit(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineSubcommand(app, "study", "split");
  verb.add_option("CONFIG", flags->source.config, "TOML configuration").required();
  verb.add_option("--out", flags->out, "The study's folder").required();
  verb.add_option("--model", flags->source.model, "Model folder instead of the configured one");
  verb.add_option(
      "--data", flags->source.data, "Folder with u0/train.jsonl ..., or one file to share out");
  verb.add_option("--train-records", flags->source.train_records, "Training records per user")
      .check(FinitePositive());
  verb.add_option("--test-records", flags->source.test_records, "Held-out records per user")
      .check(FinitePositive());
  verb.add_option("--users", flags->source.users, "Users instead of the configured number")
      .check(Range(1, 1000));
  verb.add_option("--repetitions", flags->repetitions, "Each with data, adapters and orders anew")
      .capture_default_str()
      .check(Range(1, 1000));
  verb.add_option("--schedule", flags->schedules, "Repeatable; see below")
      .capture_default_str()
      .repeatable();
  verb.add_option("--objectives", flags->objectives, "Losses of the user's phase")
      .capture_default_str()
      .delimiter(',')
      .check(IsMember({"early_exit", "full_depth"}));
  verb.add_option("--splits", flags->splits, "Values of k, comma-separated [all]").delimiter(',');
  verb.add_option("--jobs",
                  flags->processes,
                  "Trainings at the same time, one core each; 0: none, report what is there")
      .capture_default_str()
      .check(Range(0, 1024));
  verb.add_flag("--no-averages",
                flags->no_averages,
                "Leave out one adapter for all users: trained on all data, and averages");
  verb.add_flag("--json", flags->json, "Print the table's rows as JSON");
  verb.footer(kFooter);
  verb.callback([flags, &run] { run = [flags] { return RunSplit(*flags); }; });
}

}  // namespace dashf::cli
