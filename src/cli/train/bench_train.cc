// dashf bench train: the engine beside its peers on the same base, data, precision and optimiser,
// every measurement in a process of its own, and no time for a program whose losses are others.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/json.h"
#include "cli/command.h"
#include "cli/scratch_folder.h"
#include "cli/train/bench_job.h"
#include "cli/train/bench_plan.h"
#include "cli/train/bench_subject.h"
#include "cli/train/bench_table.h"
#include "cli/train/data_options.h"
#include "cli/train/start_line.h"
#include "cli/train/storage_options.h"
#include "cli/verbs.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    R"(A step's rate is that of real tokens, its share of the matrix product's rate that of the operations
that no implementation can do without; "engine x" is how many times longer the peer takes than the
engine, "start" the time to the end of the first step less a later step's, "losses" the largest
difference from the engine's. A peer whose losses differ by more than 1e-4 ends the benchmark.

Examples:
  dashf bench train
  DASHF_HF_PYTHON=venv/bin/python dashf bench train --peer bench/peers/train/peft_job.py
  dashf bench train --models 15M --arithmetic bfloat16 --bfloat16-peer "peft_job.py --bfloat16"
  dashf bench train --models 15M --recompute
  dashf bench train --models 1B --steps-alone --batch 1 --max-tokens 135 --arithmetic bfloat16
  dashf bench train --models 15M --threads 2 --json | jq '.models[0].user'
  dashf bench train --model BASE --data records.json --batch 8)";

struct Flags {
  std::vector<std::string> models = {"15M", "110M"};
  std::string model_dir, data_path, job_path, arithmetic = "float32";
  std::vector<std::string> peers, bfloat16_peers;
  std::vector<int> threads;
  BatchRules rules;
  int repeats = 3;
  int time_limit_s = 600;
  bool recompute = false;
  bool steps_alone = false;
  bool processor_time = false;
  bool json = false;
};

Expected<void> CheckLosses(const BenchCell& cell, double difference) {
  if (difference <= cell.loss_tolerance) return {};
  return Fail(
      ErrorKind::kNumerical,
      cell.command,
      fmt::format("its losses must be the engine's within {:.0e}, got a difference of {:.1e}",
                  cell.loss_tolerance,
                  difference));
}

// Runs the cell once more.
Expected<void> Measure(const Flags& flags, const fs::path& job_path, BenchCell* cell) {
  auto outcome = RunJob(cell->command, cell->job, job_path.string(), flags.time_limit_s);
  if (!outcome) return tl::unexpected(outcome.error());
  cell->outcomes.push_back(std::move(*outcome));
  return {};
}

// The last repeat's losses must be the engine's: of all steps of the same job, else of the first
// step, before which every phase but the early exit has the same loss.
Expected<void> CheckLosses(const BenchMeasurement& measurement) {
  const BenchOutcome& reference = measurement.steps.front().outcomes.front();
  for (const auto* cells : {&measurement.steps, &measurement.user, &measurement.server}) {
    for (const BenchCell& cell : *cells) {
      if (cell.job.trains == Trains::kUserEarlyExit) continue;
      const int steps = cell.job.trains == Trains::kAllLayers ? 0 : 1;
      const double difference = LossDifference(cell.outcomes.back(), reference, steps);
      if (auto same = CheckLosses(cell, difference); !same) return same;
    }
  }
  return {};
}

Expected<BenchMeasurement> MeasureSubject(const Flags& flags,
                                          const BenchSubject& subject,
                                          const fs::path& folder) {
  const std::string engine =
      ShellQuoted(fs::read_symlink("/proc/self/exe").string()) + " bench train";
  BenchMeasurement measurement = PlanMeasurement(subject,
                                                 {engine,
                                                  flags.arithmetic,
                                                  flags.recompute,
                                                  flags.peers,
                                                  flags.bfloat16_peers,
                                                  flags.threads,
                                                  flags.processor_time,
                                                  flags.steps_alone});
  for (int repeat = 1; repeat <= flags.repeats; ++repeat) {
    fmt::print(stderr, "{}: repeat {} of {}\n", subject.name, repeat, flags.repeats);
    for (auto* cells : {&measurement.steps, &measurement.user, &measurement.server}) {
      for (BenchCell& cell : *cells) {
        if (auto done = Measure(flags, folder / "job.json", &cell); !done) {
          return tl::unexpected(done.error());
        }
      }
    }
    if (auto same = CheckLosses(measurement); !same) return tl::unexpected(same.error());
  }
  return measurement;
}

Expected<BenchSubject> Prepare(const Flags& flags,
                               const std::string& model,
                               const fs::path& folder) {
  return flags.model_dir.empty()
             ? RandomSubject(model, flags.rules, folder)
             : GivenSubject(flags.model_dir, flags.data_path, flags.rules, folder);
}

Expected<int> RunBenchTrain(const Flags& flags) {
  const auto storage = ChosenStorage({.arithmetic = flags.arithmetic});
  if (!storage) return tl::unexpected(storage.error());
  if (!flags.job_path.empty()) {
    const auto job = ReadJob(flags.job_path);
    if (!job) return tl::unexpected(job.error());
    const auto done = CarryOutJob(*job, *storage, flags.recompute);
    if (!done) return tl::unexpected(done.error());
    return kExitOk;
  }
  const train::Products products = SayProducts();
  if (flags.peers.empty() && flags.bfloat16_peers.empty()) {
    fmt::print(stderr, "without --peer the engine is measured alone\n");
  }
  const std::vector<std::string> models =
      flags.model_dir.empty() ? flags.models : std::vector<std::string>{flags.model_dir};
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& model : models) {
    const ScratchFolder scratch;
    if (scratch.path().empty()) {
      return Fail(
          ErrorKind::kIo, fs::temp_directory_path().string(), "no folder can be made there");
    }
    const auto subject = Prepare(flags, model, scratch.path());
    if (!subject) return tl::unexpected(subject.error());
    if (subject->data) TellData(flags.data_path, *subject->data);
    const auto measured = MeasureSubject(flags, *subject, scratch.path());
    if (!measured) return tl::unexpected(measured.error());
    rows.push_back(RowsOf(*subject, *measured));
    PrintTable(rows.back());
  }
  if (flags.json)
    fmt::print("{}",
               DumpRows({{"repeats", flags.repeats},
                         {"processor_time", flags.processor_time},
                         {"products", ProductsJson(products)},
                         {"models", rows}}));
  return kExitOk;
}

void AddOptions(Command verb, Flags* flags) {
  Option models =
      verb.add_option("--models", flags->models, "Random models by size, comma-separated")
          .delimiter(',')
          .check(IsMember(kRandomModels))
          .capture_default_str();
  Option model = verb.add_option("--model", flags->model_dir, "A Hugging Face model folder instead")
                     .excludes(models);
  verb.add_option("--data",
                  flags->data_path,
                  "Records, conversations or text [random tokens, as long as Alpaca records]")
      .needs(model);
  verb.add_option(
          "--peer",
          flags->peers,
          "Shell command of a peer, which gets a job's file as its last argument; repeatable")
      .type_name("COMMAND");
  verb.add_option("--bfloat16-peer",
                  flags->bfloat16_peers,
                  "One that computes in bfloat16, with losses within 1e-2; repeatable")
      .type_name("COMMAND");
  verb.add_option(
          "--threads", flags->threads, "Thread counts, comma-separated [1 and the machine's]")
      .delimiter(',')
      .check(Range(1, 1024));
  verb.add_option("--batch", flags->rules.batch_size, "Examples per step")
      .check(Range(1, 4096))
      .capture_default_str();
  verb.add_option("--max-tokens", flags->rules.tokens_max, "Most tokens of an example")
      .check(Range(3, 1 << 20))
      .capture_default_str();
  verb.add_option("--repeats", flags->repeats, "Processes per figure, whose median it is")
      .check(Range(1, 1000))
      .capture_default_str();
  verb.add_option("--time-limit-s", flags->time_limit_s, "For each process")
      .check(Range(1, 1000000))
      .capture_default_str();
  verb.add_option("--arithmetic",
                  flags->arithmetic,
                  "Train beside float32 also in this, with losses within 1e-2")
      .check(IsMember(train::kArithmetics))
      .capture_default_str();
  verb.add_flag("--recompute",
                flags->recompute,
                "Train also with layers computed again instead of kept, in less memory");
  verb.add_flag(
      "--steps-alone", flags->steps_alone, "Leave out the phases of a user and of a server");
  verb.add_flag("--processor-time",
                flags->processor_time,
                "Time steps by the processor's time, where other programs share the machine");
  verb.add_flag(
      "--json", flags->json, "Write one JSON object to stdout beside the table on stderr");
  verb.add_option("--job",
                  flags->job_path,
                  "Be measured: carry one job's file out and state its steps on stdout");
}

}  // namespace

void AddBenchTrain(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineSubcommand(app, "bench", "train");
  const auto cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  flags->threads = cores == 1 ? std::vector<int>{1} : std::vector<int>{1, cores};
  AddOptions(verb, flags.get());
  verb.footer(kExamples);
  verb.callback([flags, &run] { run = [flags] { return RunBenchTrain(*flags); }; });
}

}  // namespace dashf::cli
