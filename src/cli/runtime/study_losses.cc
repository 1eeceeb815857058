// dashf study losses: the held-out loss that the plans of a study over rounds lead to.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/runtime/losses_report.h"
#include "cli/runtime/study_data.h"
#include "cli/verbs.h"
#include "replanning/results.h"
#include "replanning/summary.h"
#include "runtime/learning.h"
#include "study/round_losses.h"
#include "sweep/summary.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using runtime::RunConfig;

constexpr double kRecordsMax = 1e6;  // Of a user, over all rounds.

struct Flags {
  std::string folder;
  StudySource source;
  std::vector<std::string> policies;  // Empty: all that are there.
  double records_per_round = 4.0;
  int processes = 1;
  bool json = false;
};

Expected<std::size_t> UserNumber(const std::string& place, const std::string& id) {
  std::size_t number = 0;
  const char* const end = id.data() + id.size();
  const auto [read, error] =
      std::from_chars(id.data() + std::min<std::size_t>(1, id.size()), end, number);
  if (id.starts_with('u') && error == std::errc() && read == end && number < 1'000'000) {
    return number;
  }
  return Fail(
      ErrorKind::kBadInput, place, fmt::format("has a user {}, must be u0, u1 and so on", id));
}

// Whom the plans know: u0 to the last one planned anywhere.
Expected<std::size_t> UsersOf(const std::string& place, const replanning::Record& record) {
  std::size_t users = 0;
  for (const auto& [job, outcome] : record.outcomes) {
    for (const replanning::RoundOutcome& round : outcome.rounds) {
      for (const replanning::Turn& turn : round.turns) {
        const auto number = UserNumber(place, turn.user);
        if (!number) return number;
        users = std::max(users, *number + 1);
      }
    }
  }
  if (users > 0) return users;
  return Fail(ErrorKind::kBadInput, place, "has no round with a plan: there is nothing to train");
}

Expected<std::vector<std::string>> PoliciesOf(const std::string& place,
                                              const replanning::Record& record,
                                              const std::vector<std::string>& asked) {
  std::vector<std::string> there;
  for (const auto& [job, outcome] : record.outcomes) {
    if (outcome.failure.empty() && std::ranges::find(there, job.policy) == there.end()) {
      there.push_back(job.policy);
    }
  }
  for (const std::string& policy : asked) {
    if (std::ranges::find(there, policy) != there.end()) continue;
    return Fail(ErrorKind::kUsage,
                "--policies",
                fmt::format("{} has plans of {}, got {}", place, fmt::join(there, ", "), policy));
  }
  return asked.empty() ? there : asked;
}

std::vector<study::LossJob> JobsOf(const replanning::Record& record,
                                   const std::vector<std::string>& policies,
                                   std::size_t users,
                                   int layers) {
  std::vector<study::LossJob> jobs;
  for (const auto& [job, outcome] : record.outcomes) {
    if (!outcome.failure.empty()) continue;
    if (std::ranges::find(policies, job.policy) == policies.end()) continue;
    study::LossJob& made = jobs.emplace_back();
    made.seed = job.seed;
    made.policy = job.policy;
    made.turns.assign(users, std::vector<std::optional<study::Turn>>(outcome.rounds.size()));
    for (std::size_t round = 0; round < outcome.rounds.size(); ++round) {
      for (const replanning::Turn& turn : outcome.rounds[round].turns) {
        const std::size_t user = *UserNumber("", turn.user);  // UsersOf() has seen it.
        const int k = study::NearestSplit(turn.local_layers, outcome.rounds[round].layers, layers);
        made.turns[user][round] = study::Turn{k, turn.data_part};
      }
    }
  }
  return jobs;
}

study::RoundsOfTurns TrainingOf(const RunConfig& config, const Flags& flags) {
  const runtime::TrainingSettings& training = config.training;
  return {.adapter = training.adapter,
          .training = training.OptionsFor(1),
          .objective = training.objective,
          .epochs_user = training.epochs_user,
          .epochs_server = training.epochs_server,
          .epochs_joint = training.epochs_joint,
          .examples_per_round = flags.records_per_round};
}

Expected<study::LossResults> OpenResults(const RunConfig& config,
                                         const llama::Storage& storage,
                                         const Flags& flags,
                                         const std::vector<int>& after) {
  auto settings = SettingsOf(config, storage);
  if (!settings) return tl::unexpected(settings.error());
  const runtime::TrainingSettings& training = config.training;
  (*settings)["objective"] =
      training.objective == train::UserObjective::kEarlyExit ? "early_exit" : "full_depth";
  (*settings)["epochs"] = {training.epochs_user, training.epochs_server, training.epochs_joint};
  settings->erase("train_records");  // It follows from the next.
  (*settings)["records_per_round"] = flags.records_per_round;
  return study::LossResults::Open(fs::path(flags.folder) / "losses.jsonl", *settings, after);
}

Expected<void> WriteAll(const Flags& flags,
                        const LossesTitle& title,
                        const std::vector<study::LossRow>& rows,
                        const std::vector<corpus::DataReport>& taken) {
  const std::string markdown = LossesMarkdown(title, rows);
  const nlohmann::ordered_json table = LossesRows(title, rows);
  const std::pair<const char*, std::string> files[] = {{"losses.md", markdown},
                                                       {"losses.csv", sweep::CsvOf(table)},
                                                       {"losses.svg", LossesSvg(title, rows)}};
  for (const auto& [name, bytes] : files) {
    if (auto written = WriteFileAtomically(fs::path(flags.folder) / name, bytes); !written) {
      return written;
    }
  }
  fmt::print("{}", flags.json ? DumpRows({{"data", ToJson(taken)}, {"rows", table}}) : markdown);
  return {};
}

using Users = std::map<std::uint64_t, std::vector<study::UserData>>;

Expected<Users> ReadUsers(const std::vector<study::LossJob>& jobs,
                          const RunConfig& config,
                          const Flags& flags,
                          const runtime::BaseModel& base,
                          std::vector<corpus::DataReport>* taken) {
  Users users;
  for (const study::LossJob& job : jobs) {
    if (users.contains(job.seed)) continue;
    auto read = ReadRepetition(config, job.seed, flags.folder, base, taken);
    if (!read) return tl::unexpected(read.error());
    users[job.seed] = std::move(read->users);
  }
  return users;
}

// The jobs are carried out; what is there is summed up.
Expected<int> Report(const Flags& flags,
                     const LossesTitle& title,
                     const std::vector<study::LossRow>& rows,
                     const study::Tally& tally,
                     const std::vector<corpus::DataReport>& taken) {
  if (!rows.empty()) {
    if (auto written = WriteAll(flags, title, rows, taken); !written) {
      return tl::unexpected(written.error());
    }
  }
  if (tally.failed > 0) {
    fmt::print(stderr,
               "{} of {} jobs failed; the same command tries them again\n",
               tally.failed,
               tally.jobs);
  }
  return tally.failed > 0 ? kExitJobsFailed : kExitOk;
}

Expected<int> RunLosses(const Flags& flags) {
  const std::string path = (fs::path(flags.folder) / "results.jsonl").string();
  const auto record = replanning::ReadRecord(path);
  if (!record) return tl::unexpected(record.error());
  const auto users_count = UsersOf(path, *record);
  if (!users_count) return tl::unexpected(users_count.error());
  const auto policies = PoliciesOf(path, *record, flags.policies);
  if (!policies) return tl::unexpected(policies.error());
  auto config = Configure(flags.source);
  if (!config) return tl::unexpected(config.error());
  config->scenario.users = static_cast<int>(*users_count);
  const double records = std::ceil(flags.records_per_round * record->rounds);
  if (records > kRecordsMax) {
    return Fail(ErrorKind::kUsage,
                "--records-per-round",
                fmt::format("must be at most {:g} for {} rounds, got {:g}",
                            std::floor(kRecordsMax / record->rounds),
                            record->rounds,
                            flags.records_per_round));
  }
  config->data.train_records = static_cast<int>(records);
  const auto loaded = LoadStudyModel(&*config);
  if (!loaded) return tl::unexpected(loaded.error());
  const runtime::BaseModel& base = loaded->base;
  const int layers = base.model.config().layers;
  const auto jobs = JobsOf(*record, *policies, *users_count, layers);
  std::vector<int> after = {0};
  for (const int end : replanning::BlockEnds(record->rounds)) after.push_back(end);
  auto results = OpenResults(*config, loaded->storage, flags, after);
  if (!results) return tl::unexpected(results.error());
  std::vector<corpus::DataReport> taken;
  const auto users = ReadUsers(jobs, *config, flags, base, &taken);
  if (!users) return tl::unexpected(users.error());
  std::optional<int> signal;
  const study::StudyRun run{
      .out = flags.folder,
      .processes = flags.processes,
      .base_name = config->model,
      .stopped = StopOn(&signal),
      .progress = [](const std::string& line) { fmt::print(stderr, "{}\n", line); }};
  const auto tally =
      CarryOutLosses(base.model, jobs, *users, TrainingOf(*config, flags), after, run, &*results);
  if (!tally) return tl::unexpected(tally.error());
  if (signal) {
    fmt::print(stderr,
               "stopped with {} of {} results in {}: the same command goes on from there\n",
               tally->done,
               tally->jobs,
               results->path().string());
    return 128 + *signal;
  }
  const auto rows = study::SummariseLosses(jobs, *users, *policies, *results);
  if (!rows) return tl::unexpected(rows.error());
  const LossesTitle title{.model = fs::path(config->model).filename().string(),
                          .data = DataName(*config),
                          .users = static_cast<int>(*users_count),
                          .rounds = record->rounds,
                          .seeds = static_cast<int>(users->size()),
                          .records_per_round = flags.records_per_round,
                          .after = after};
  return Report(flags, title, *rows, *tally, taken);
}

constexpr const char* kFooter =
    R"(FOLDER is that of `dashf study rounds`. In every round of its worlds, each user that was planned trains
the first layers of its adapter on the data that came in, the server then trains the others, and the
next round goes on from there; who was not planned misses the round and its data. Plans are of the
scenario's layers: of a model with another number of layers, the user trains the nearest share.
Model, adapter, training and held-out records are those of --config (configs/README.md).

Written to FOLDER: losses.jsonl (a line per seed and policy, at once), losses.csv, losses.svg,
losses.md and data/. docs/rounds.md says how to read them. Exit 7: some jobs failed; the others are
kept. The same command goes on where a stopped one was.

Examples:
  dashf study rounds --seeds 1..3 --out runs/rounds
  dashf study losses runs/rounds --jobs 2
  dashf study losses runs/rounds --policies afresh,never --model stories260K --data records.json)";

}  // namespace

void AddStudyLosses(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineSubcommand(app, "study", "losses");
  verb.add_option("FOLDER", flags->folder, "Of a study over rounds").required();
  verb.add_option("--config",
                  flags->source.config,
                  "TOML configuration of model, data, adapter and training [its defaults]");
  verb.add_option("--model", flags->source.model, "Model folder instead of the configured one");
  verb.add_option(
      "--data", flags->source.data, "Folder with u0/train.jsonl ..., or one file to share out");
  verb.add_option("--test-records", flags->source.test_records, "Held-out records per user")
      .check(FinitePositive());
  verb.add_option("--records-per-round",
                  flags->records_per_round,
                  "Training records of a user in a mean round")
      .capture_default_str()
      .check(Within(1.0, 1e6));
  verb.add_option(
          "--policies", flags->policies, "Comma-separated; the first is compared with [all]")
      .delimiter(',');
  verb.add_option("--jobs", flags->processes, "Worlds at the same time, one core each")
      .capture_default_str()
      .check(Range(1, 1024));
  verb.add_flag("--json", flags->json, "Print the table's rows as JSON");
  verb.footer(kFooter);
  verb.callback([flags, &run] { run = [flags] { return RunLosses(*flags); }; });
}

}  // namespace dashf::cli
