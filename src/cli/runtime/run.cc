// dashf run: the whole mission on one machine. Data, profile, scenario, comparison, a real round of
// coordinator, servers and users as child processes, references, report.
#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "base/counted.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/termination.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/runtime/open_browser.h"
#include "cli/runtime/run_data.h"
#include "cli/runtime/run_folder.h"
#include "cli/runtime/run_tables.h"
#include "cli/shipped_model.h"
#include "cli/train/start_line.h"
#include "cli/verbs.h"
#include "problem/plan_io.h"
#include "report/report.h"
#include "runtime/emulation.h"
#include "runtime/folder_lock.h"
#include "runtime/launch.h"
#include "runtime/node_places.h"
#include "runtime/process.h"
#include "runtime/references.h"
#include "runtime/run_config.h"
#include "runtime/user_store.h"
#include "scenario/generator.h"
#include "scenario/profile_io.h"
#include "scenario/scenario_io.h"
#include "solvers/comparison.h"
#include "train/flop.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using runtime::RunConfig;

constexpr double kMethodTimeLimitS = 30.0;

struct Flags {
  std::string input, out;
  std::string model, data, method;
  double time_scale = 0.0;                              // 0: as configured.
  int rounds = 0, train_records = 0, test_records = 0;  // 0: as configured.
  bool no_references = false;
  bool json = false, open = false;
};

Expected<RunConfig> Configure(const Flags& flags) {
  RunConfig config;
  if (flags.input.ends_with(".toml")) {
    auto read = runtime::ReadRunConfig(flags.input);
    if (!read) return read;
    config = std::move(*read);
  } else {
    config.scenario.file = flags.input;
  }
  if (!flags.model.empty()) config.model = flags.model;
  if (config.model.empty()) config.model = ShippedModel();
  if (!flags.data.empty()) {
    const bool folder = fs::is_directory(flags.data);
    config.data.folder = folder ? flags.data : "";
    config.data.file = folder ? "" : flags.data;
  }
  if (!flags.method.empty()) config.plan.method = flags.method;
  if (flags.rounds > 0) config.rounds = flags.rounds;
  if (flags.time_scale > 0.0) config.time_scale = flags.time_scale;
  if (flags.train_records > 0) config.data.train_records = flags.train_records;
  if (flags.test_records > 0) config.data.test_records = flags.test_records;
  if (flags.no_references) config.references = {.all_server = false, .centralised = false};
  return config;
}

// One run, step by step; what a step leaves behind is a member.
class RunSteps {
 public:
  RunSteps(RunConfig config, const Flags& flags)
      : config_(std::move(config)), flags_(flags), folder_(flags.out) {}

  Expected<int> Go();

 private:
  Expected<void> MakeData();
  Expected<void> MeasureProfile();
  Expected<void> MakeScenario();
  Expected<void> CompareAll();
  Expected<void> CarryItOut();
  void Open(const std::string& url) const;
  Expected<void> AddReferences();
  Expected<void> Finish();
  Expected<void> PrintAllRounds() const;
  void Say(const std::string& line) const {
    fmt::print(stderr, "[{:7.1f} s] {}\n", watch_.ElapsedS(), line);
  }

  RunConfig config_;
  const Flags& flags_;
  const fs::path folder_;
  const Stopwatch watch_;
  std::optional<LoadedScenario> given_;  // The scenario file, if there is one.
  std::optional<runtime::BaseModel> base_;
  RunData data_;
  std::vector<DataSetSize> sizes_;  // Of the users' training sets.
  std::vector<DataRecord> taken_;
  MeasuredProfile profile_;
  Scenario scenario_;
  std::vector<solvers::ComparisonRow> comparison_;
  runtime::LaunchResult round_;
};

Expected<int> RunSteps::Go() {
  if (auto ours = CheckRunFolder(folder_); !ours) return tl::unexpected(ours.error());
  if (auto room = runtime::CheckRoom(folder_, static_cast<double>(runtime::kSpareBytes)); !room) {
    return tl::unexpected(room.error());
  }
  const auto lock = runtime::FolderLock::Take(folder_, "dashf run");
  if (!lock) return tl::unexpected(lock.error());
  using Step = Expected<void> (RunSteps::*)();
  for (const Step step : {&RunSteps::MakeData,
                          &RunSteps::MeasureProfile,
                          &RunSteps::MakeScenario,
                          &RunSteps::CompareAll,
                          &RunSteps::CarryItOut,
                          &RunSteps::AddReferences,
                          &RunSteps::Finish}) {
    if (auto done = (this->*step)(); !done) return tl::unexpected(done.error());
  }
  if (round_.signal) return 128 + *round_.signal;
  return round_.record.Done() ? kExitOk : kExitRoundFailed;
}

Expected<void> RunSteps::MakeData() {
  int users = config_.scenario.users;
  if (!config_.scenario.file.empty()) {
    auto loaded = ReadScenario(config_.scenario.file);
    if (!loaded) return tl::unexpected(loaded.error());
    given_ = std::move(*loaded);
    users = static_cast<int>(given_->scenario.users.size());
  }
  const auto storage = runtime::BaseStorage(config_.training.storage);
  if (!storage) return tl::unexpected(storage.error());
  SayStart(*storage);
  auto base = runtime::LoadBaseModel(config_.model, config_.training.storage);
  if (!base) return tl::unexpected(base.error());
  base_ = std::move(*base);
  auto data = PrepareData(config_, users, folder_ / "data");
  if (!data) return tl::unexpected(data.error());
  data_ = std::move(*data);
  Say(fmt::format("model {}: {} layers, {:.1f} M parameters; data: {}, {}",
                  config_.model,
                  base_->model.config().layers,
                  static_cast<double>(base_->model.parameters()) * 1e-6,
                  data_.source,
                  Counted(static_cast<std::size_t>(users), "user")));
  // As every other verb, no longer than the model takes.
  config_.training.tokens_max =
      std::min(config_.training.tokens_max, base_->model.config().max_positions);
  const auto tokenized = TokenizeData(data_, *base_, config_.training.tokens_max);
  if (!tokenized) return tl::unexpected(tokenized.error());
  for (std::size_t user = 0; user < data_.train.size(); ++user) {
    const std::size_t bytes = corpus::WriteSamples(data_.train[user]).size();
    sizes_.push_back({.tokens = train::VolumeOf(tokenized->train[user]).tokens,
                      .data_bit = 8.0 * static_cast<double>(bytes)});
  }
  for (const corpus::DataReport& report : tokenized->reports) taken_.push_back(ToRecord(report));
  return {};
}

// As a program of its own, for its peak memory is part of what it measures.
Expected<void> RunSteps::MeasureProfile() {
  Say("measuring what each split costs on this machine");
  const runtime::TrainingSettings& training = config_.training;
  const std::string path = (folder_ / "profile.json").string();
  const train::AdapterConfig& adapter = training.adapter;
  const bool lora = adapter.kind == train::AdapterKind::kLora;
  const bool early_exit = training.objective == train::UserObjective::kEarlyExit;
  runtime::ProcessGroup child;
  const auto started = child.Start("profile",
                                   {OwnProgram().string(),
                                    "profile",
                                    "--model",
                                    config_.model,
                                    "--data",
                                    data_.files.front().train,
                                    "--out",
                                    path,
                                    "--objective",
                                    early_exit ? "early_exit" : "full_depth",
                                    "--max-tokens",
                                    fmt::to_string(training.tokens_max),
                                    "--epochs",
                                    fmt::to_string(training.epochs_server),
                                    "--joint-epochs",
                                    fmt::to_string(training.epochs_joint),
                                    "--adapter",
                                    lora ? "lora" : "adaption_prompt",
                                    "--targets",
                                    fmt::format("{}", fmt::join(adapter.lora.targets, ",")),
                                    "--prompt-length",
                                    fmt::to_string(adapter.prompt.length),
                                    "--batch",
                                    fmt::to_string(training.batch_size),
                                    "--accumulate",
                                    fmt::to_string(training.accumulate),
                                    "--arithmetic",
                                    training.storage.arithmetic,
                                    "--weights",
                                    training.storage.weights,
                                    "--rank",
                                    fmt::to_string(adapter.lora.rank)});
  if (!started) return tl::unexpected(started.error());
  std::optional<runtime::ProcessEnd> end;
  while (!(end = child.Poll())) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  if (end->signal != 0 || end->exit_code != 0) {
    return Fail(ErrorKind::kRoundFailed, "profile", runtime::Describe(*end));
  }
  auto profile = ReadProfile(path);
  if (!profile) return tl::unexpected(profile.error());
  profile_ = std::move(*profile);
  // Measured with the server phase's epochs; the user phase's work is proportional to its own.
  const double ratio = static_cast<double>(training.epochs_user) / training.epochs_server;
  for (double& flop : profile_.local_flop_per_token) flop *= ratio;
  return {};
}

Expected<void> RunSteps::MakeScenario() {
  if (!given_) {
    GeneratorOptions options;
    options.name =
        fmt::format("run with {}", std::filesystem::path(config_.model).filename().string());
    options.delay = config_.scenario.delay == "sum" ? DelayMode::kSum : DelayMode::kMakespan;
    options.bandwidth_hz = config_.scenario.bandwidth_hz;
    options.profile = profile_;
    options.machine_share = config_.scenario.machine_share;
    options.data_sets = sizes_;
    auto made = GenerateStudy(
        config_.scenario.users, config_.scenario.servers, options, Rng(config_.scenario.seed));
    if (!made) return tl::unexpected(made.error());
    scenario_ = std::move(*made);
    return {};
  }
  // The scenario's devices and places, the data and the model of this run.
  scenario_ = given_->scenario;
  scenario_.profiles.clear();
  for (std::size_t n = 0; n < scenario_.users.size(); ++n) {
    scenario_.users[n].profile = static_cast<int>(n);
    scenario_.profiles.push_back(ScaleProfile(profile_, sizes_[n], fmt::format("p{}", n)));
  }
  Say(fmt::format("{}: split profiles replaced by this model's, measured here",
                  config_.scenario.file));
  return Validate(scenario_);
}

Expected<void> RunSteps::CompareAll() {
  const auto methods = solvers::SelectMethods(config_.plan.compare);
  if (!methods) return tl::unexpected(methods.error());
  comparison_ = solvers::CompareMethods(
      scenario_,
      *methods,
      {.seed = config_.plan.seed,
       .time_limit_s = kMethodTimeLimitS,
       .on_start = [this](const std::string& method) { Say("planning with " + method); }});
  return WriteFileAtomically(folder_ / "comparison.json",
                             solvers::ComparisonJson(scenario_, comparison_));
}

void RunSteps::Open(const std::string& url) const {
  if (!flags_.open) return;
  if (const auto opened = OpenBrowser(url); !opened)
    Say("cannot open it: " + opened.error().Text());
}

Expected<void> RunSteps::CarryItOut() {
  if (auto sound = runtime::CheckSlowdown("[emulation] slowdown", config_.slowdown, scenario_);
      !sound) {
    return sound;
  }
  const runtime::Launch launch{
      .folder = fs::absolute(folder_),
      .program = OwnProgram().string(),
      .scenario = scenario_,
      .data = data_.files,
      .labels = data_.labels,
      .model_folder = config_.model,
      .training = config_.training,
      .method = config_.plan.method,
      .plan_seed = config_.plan.seed,
      .handover_penalty = config_.plan.handover_penalty,
      .work_conserving = config_.plan.work_conserving,
      .machine_flop_per_s = profile_.machine.clock_hz * profile_.machine.flop_per_cycle,
      .time_scale = config_.time_scale,
      .slowdown = config_.slowdown,
      .learn = config_.plan.learn.value_or(false),
      .turns = static_cast<int>(std::max(1U, std::thread::hardware_concurrency())),
      .rounds = static_cast<std::uint32_t>(config_.rounds),
      .on_live_page = [this](const std::string& url) { Open(url); },
      .environment = {}};
  Say(fmt::format("starting coordinator, {} and {}",
                  Counted(scenario_.servers.size(), "server"),
                  Counted(scenario_.users.size(), "user")));
  auto round = runtime::CarryOut(launch, [this](const std::string& line) { Say(line); });
  if (!round) return tl::unexpected(round.error());
  round_ = std::move(*round);
  return {};
}

// A failed round has no result to hold anything against.
Expected<void> RunSteps::AddReferences() {
  RoundRecord& record = round_.record;
  if (record.Done() && (config_.references.all_server || config_.references.centralised)) {
    Say("training the references: all layers in one place");
    std::vector<runtime::ReferenceUser> users;
    for (std::size_t n = 0; n < record.users.size(); ++n) {
      users.push_back({record.users[n].id, data_.train[n], data_.test[n]});
    }
    std::atomic<bool> cancelled = false;
    std::optional<Expected<References>> references;
    runtime::StopSignals signals;
    std::atomic<bool> finished = false;
    std::thread work([&] {
      references = runtime::ComputeReferences(
          *base_,
          users,
          data_.labels,
          config_.training,
          {.all_server = config_.references.all_server,
           .centralised = config_.references.centralised,
           .threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency())),
           .cancelled = [&cancelled] { return cancelled.load(); }},
          [this](const std::string& line) { Say(line); });
      finished = true;
    });
    while (!finished) {
      if (const auto signal = signals.Wait(50)) {
        round_.signal = signal;
        cancelled = true;
      }
    }
    work.join();
    if (!*references) return tl::unexpected(references->error());
    if (!cancelled) record.references = std::move(**references);
  }
  return {};
}

Expected<void> RunSteps::Finish() {
  RoundRecord& record = round_.record;
  record.data = taken_;
  std::optional<CarriedOut> carried_out;
  if (fs::exists(folder_ / "plan.json")) {
    const auto loaded = ReadScenario((folder_ / "scenario.json").string());
    if (!loaded) return tl::unexpected(loaded.error());
    const auto plan = ReadPlan((folder_ / "plan.json").string(), *loaded);
    if (!plan) return tl::unexpected(plan.error());
    carried_out = {.users = loaded->scenario.users.size(),
                   .servers = loaded->scenario.servers.size(),
                   .scr = Evaluate(loaded->scenario, plan->plan).scr};
  }
  for (const solvers::ComparisonRow& row : comparison_) {
    if (row.method != "exhaustive" || !row.evaluation) continue;
    if (!carried_out || !IsOf(scenario_, record, *carried_out)) continue;
    record.exhaustive_scr = row.evaluation->scr;
    // Rounding apart: the same plan evaluated twice differs in its last digits.
    const double gap = (row.evaluation->scr - carried_out->scr) / row.evaluation->scr;
    record.gap = std::abs(gap) < 1e-12 ? 0.0 : gap;
  }
  const std::string text = WriteRound(record);
  if (auto written = WriteFileAtomically(folder_ / "round.json", text); !written) return written;
  if (carried_out) {
    const auto report = report::WriteReport(folder_);
    if (!report) return tl::unexpected(report.error());
    Say("report: " + report->string());
  }
  if (flags_.json) {
    fmt::print("{}", text);
  } else {
    if (auto printed = PrintAllRounds(); !printed) return printed;
    PrintRun(record, scenario_, comparison_, carried_out ? &*carried_out : nullptr);
  }
  return {};
}

// A signal may have ended the run before all of them.
Expected<void> RunSteps::PrintAllRounds() const {
  if (config_.rounds == 1) return {};
  std::vector<RoundRecord> rounds;
  for (int number = 1; number <= config_.rounds; ++number) {
    const fs::path path = folder_ / "rounds" / fmt::format("{:04}", number) / "round.json";
    if (!fs::exists(path)) break;
    const auto text = ReadFile(path);
    if (!text) return tl::unexpected(text.error());
    auto record = ParseRound(path.string(), *text);
    if (!record) return tl::unexpected(record.error());
    rounds.push_back(std::move(*record));
  }
  PrintRounds(rounds);
  return {};
}

Expected<int> RunRun(const Flags& flags) {
  auto config = Configure(flags);
  if (!config) return tl::unexpected(config.error());
  return RunSteps(std::move(*config), flags).Go();
}

constexpr const char* kFooter =
    R"(INPUT is a scenario (dashf.scenario/1), whose devices and places are taken, or a TOML file
(configs/README.md lists its keys). Without further word the model is the one that ships and the
data the sections task. Processes talk over mutual TLS on 127.0.0.1.

Written to OUT: scenario.json, plan.json, comparison.json, profile.json, round.json, telemetry.jsonl,
data/, adapters/USER/ (PEFT, each user's best so far), report.html; rounds/0001/ and so on has each round's
files, users/ what each user keeps, logs/ what each process said.
OUT is new, empty or an earlier run's, whose results are removed first; else exit 3.
Exit 8: the round did not finish for every user; round.json says who and why.

Examples:
  dashf run configs/demo.toml --out runs/demo
  dashf new --users 4 --servers 2 --out scenario.json && dashf run scenario.json --out runs/four
  dashf run configs/stories260k-alpaca.toml --model stories260K --data records.json --out runs/s)";

}  // namespace

void AddRun(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineVerb(app, "run");
  verb.add_option("INPUT", flags->input, "Scenario file or TOML configuration").required();
  verb.add_option("--out", flags->out, "The run's folder").required();
  verb.add_option("--model", flags->model, "Model folder instead of the configured one");
  verb.add_option(
      "--data", flags->data, "Folder with u0/train.jsonl ..., or one file to share out");
  verb.add_option("--method", flags->method, "Planning method instead of the configured one");
  verb.add_option("--rounds", flags->rounds, "Rounds, one after the other").check(FinitePositive());
  verb.add_option("--time-scale",
                  flags->time_scale,
                  "Carry the plan out as it assumes, one of its seconds in so many")
      .check(FinitePositive());
  verb.add_option("--train-records", flags->train_records, "Training records per user")
      .check(FinitePositive());
  verb.add_option("--test-records", flags->test_records, "Held-out records per user")
      .check(FinitePositive());
  verb.add_flag("--no-references",
                flags->no_references,
                "Leave out the all-server and centralised trainings");
  verb.add_flag("--open", flags->open, "Open the live page in a browser (xdg-open)");
  verb.add_flag("--json", flags->json, "Print round.json instead of tables");
  verb.footer(kFooter);
  verb.callback([flags, &run] { run = [flags] { return RunRun(*flags); }; });
}

}  // namespace dashf::cli
