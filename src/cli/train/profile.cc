// dashf profile: what each split costs on this machine, for the planner.
#include "train/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

#include "base/file.h"
#include "base/median.h"
#include "base/termination.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/train/data_options.h"
#include "cli/train/out_place.h"
#include "cli/train/start_line.h"
#include "cli/train/storage_options.h"
#include "cli/verbs.h"
#include "corpus/tokenizer.h"
#include "scenario/profile_io.h"
#include "train/flop.h"

namespace dashf::cli {
namespace {

struct Flags {
  std::string model_dir;
  DataOptions data;
  std::string out_path;
  std::string objective = "early_exit";
  std::string adapter = "lora";
  std::string extrapolate = "auto";
  bool check = false;
  int record_tokens_max = 256;
  int joint_epochs = 0;
  double core_power_w = 10.0;
  train::StorageChoice storage;
  std::string base_cache = "auto";
  train::ProfileOptions options;
};

constexpr const char* kExamples =
    R"(Times are one core's. Work is stated as time x the core's measured matrix-product rate, so that
W / (flop_per_cycle x clock_hz) gives the measured time back. Power is not measured: kappa is
--core-power-w / clock^3.

Examples:
  dashf profile --model share/models/debian-3m --data sections/u0/train.jsonl --out profile.json
  dashf profile --model BASE --data records.json --objective full_depth --epochs 1 --out profile.json
  dashf profile --model BASE_7B --data records.json --extrapolate yes --out profile.json
  dashf profile --model BASE --data records.json --arithmetic auto --out profile.json
  dashf profile --model BASE --data records.json --check --out profile.json)";

constexpr double kMeasuringMaxS = 60.0;
constexpr double kProgressEveryS = 5.0;

// The clock that the kernel reports for the first core; 1 GHz where it reports none, which changes
// how the rate is split into clock and FLOP per cycle, and no predicted time.
double ClockHz() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("cpu MHz")) return std::stod(line.substr(line.find(':') + 1)) * 1e6;
  }
  return 1e9;
}

MeasuredProfile ToProfile(const Flags& flags,
                          const train::PhaseCosts& costs,
                          double data_bit_per_token) {
  const double clock_hz = ClockHz();
  const double flop_per_s = costs.gemm_flop_per_s;
  MeasuredProfile profile;
  profile.name = "measured";
  profile.model = flags.model_dir;
  profile.layers = static_cast<int>(costs.layer_bytes.size());
  profile.objective = flags.options.objective == train::UserObjective::kEarlyExit
                          ? PhaseObjective::kEarlyExit
                          : PhaseObjective::kFullDepth;
  profile.epochs = flags.options.train.epochs;
  profile.joint_epochs = flags.joint_epochs;
  profile.tokens_measured = costs.tokens;
  profile.data_bit_per_token = data_bit_per_token;
  for (const double bytes : costs.layer_bytes) profile.adapter_bit_per_layer.push_back(8.0 * bytes);
  // The joint phase is the server's of k = 0, once more and in epochs of its own.
  const double joint_s = costs.server_s.front() * profile.joint_epochs / profile.epochs;
  profile.measured_server_s = costs.server_s;
  for (std::size_t k = 0; k + 1 < costs.user_s.size(); ++k) profile.measured_server_s[k] += joint_s;
  for (std::size_t k = 0; k < costs.user_s.size(); ++k) {
    profile.local_flop_per_token.push_back(costs.user_s[k] * flop_per_s / costs.tokens);
    profile.server_flop_per_token.push_back(profile.measured_server_s[k] * flop_per_s /
                                            costs.tokens);
  }
  profile.local_memory_bytes = costs.user_memory_bytes;
  profile.measured_local_s = costs.user_s;
  profile.machine = {.clock_hz = clock_hz,
                     .flop_per_cycle = flop_per_s / clock_hz,
                     .kappa_w_per_hz3 = flags.core_power_w / std::pow(clock_hz, 3),
                     .gemm_flop_per_s = flop_per_s};
  return profile;
}

void PrintChecks(const std::vector<train::ForetoldPhase>& checks) {
  fmt::print(stderr,
             "\n{:<8} {:>6} {:>3} {:>12} {:>12} {:>8}\n",
             "phase",
             "layers",
             "k",
             "foretold s",
             "measured s",
             "error %");
  std::vector<double> errors;
  for (const train::ForetoldPhase& check : checks) {
    fmt::print(stderr,
               "{:<8} {:>6} {:>3} {:>12.3f} {:>12.3f} {:>8.1f}\n",
               check.user ? "user" : "server",
               check.layers,
               check.k,
               check.foretold_s,
               check.measured_s,
               100.0 * check.RelativeError());
    errors.push_back(100.0 * std::abs(check.RelativeError()));
  }
  fmt::print(stderr,
             "median error {:.1f} %, largest {:.1f} %\n",
             Median(errors),
             *std::max_element(errors.begin(), errors.end()));
}

void PrintCosts(const train::PhaseCosts& costs) {
  fmt::print(stderr, "{:>3} {:>10} {:>10} {:>10}\n", "k", "user s", "server s", "peak MB");
  for (std::size_t k = 0; k < costs.user_s.size(); ++k) {
    fmt::print(stderr,
               "{:>3} {:>10.3f} {:>10.3f} {:>10.0f}\n",
               k,
               costs.user_s[k],
               costs.server_s[k],
               costs.user_memory_bytes[k] * 1e-6);
  }
}

// A line now and then while phases are measured.
std::function<void(int, int)> Progress() {
  auto last = std::make_shared<Stopwatch>();
  return [last](int done, int total) {
    if (last->ElapsedS() < kProgressEveryS) return;
    *last = Stopwatch();
    fmt::print(stderr, "measured {} of {} phases\n", done, total);
  };
}

Expected<std::vector<corpus::Example>> ReadExamples(const Flags& flags,
                                                    double* data_bit_per_token) {
  const auto config = train::LoadModelConfig(flags.model_dir);
  if (!config) return tl::unexpected(config.error());
  const int tokens_max = std::min(flags.record_tokens_max, config->max_positions);
  const auto tokenizer = corpus::Tokenizer::Load(flags.model_dir);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  corpus::DataReport report;
  const auto samples = ReadData(flags.data, &report);
  if (!samples) return tl::unexpected(samples.error());
  const auto chat = TemplateFor(flags.data.chat_template, flags.model_dir, *tokenizer);
  auto examples = corpus::TokenizeSamples(*samples, *tokenizer, chat, tokens_max, &report);
  if (!examples) return tl::unexpected(examples.error());
  WarnIfEndless(flags.model_dir, *tokenizer);
  TellData(flags.data.path, report);
  const double data_bit = 8.0 * static_cast<double>(corpus::WriteSamples(*samples).size());
  *data_bit_per_token = data_bit / train::VolumeOf(*examples).tokens;
  return examples;
}

// Every other example, from the first or the second on.
std::vector<corpus::Example> Half(const std::vector<corpus::Example>& examples, std::size_t from) {
  std::vector<corpus::Example> half;
  for (std::size_t i = from; i < examples.size(); i += 2) half.push_back(examples[i]);
  return half;
}

Expected<train::PhaseCosts> Measure(const Flags& flags,
                                    const std::vector<corpus::Example>& examples) {
  if (flags.check && examples.size() < 2) {
    return Fail(ErrorKind::kBadInput, "--check", "needs two examples at least, got 1");
  }
  const auto model = LoadBase(flags.model_dir, flags.options.storage, flags.base_cache);
  if (!model) return tl::unexpected(model.error());
  if (!flags.check) return train::MeasurePhases(*model, examples, flags.options);
  auto costs = train::MeasurePhases(*model, Half(examples, 0), flags.options);
  if (!costs) return tl::unexpected(costs.error());
  auto checks = train::CheckPhases(*costs, *model, Half(examples, 1), flags.options);
  if (!checks) return tl::unexpected(checks.error());
  costs->checks = std::move(*checks);
  return costs;
}

// Nothing if every layer costs the same, which an extrapolation stands on; else why not.
std::string WhyUnlike(const train::ModelConfig& config,
                      const std::vector<corpus::Example>& examples) {
  int windowed = 0;
  for (int layer = 0; layer < config.layers; ++layer) windowed += config.WindowOf(layer) > 0;
  if (windowed == 0 || windowed == config.layers) return {};
  const auto longer = std::ranges::count_if(examples, [&](const corpus::Example& example) {
    return std::ssize(example.tokens) > config.sliding_window;
  });
  if (longer == 0) return {};
  return fmt::format(
      "needs layers of one cost, but {} of {} see the last {} tokens alone and {} examples are "
      "longer; give --max-tokens {} or --extrapolate no",
      windowed,
      config.layers,
      config.sliding_window,
      longer,
      config.sliding_window);
}

Expected<train::PhaseCosts> MeasureOrExtrapolate(const Flags& flags,
                                                 const std::vector<corpus::Example>& examples) {
  const auto config = train::LoadModelConfig(flags.model_dir);
  if (!config) return tl::unexpected(config.error());
  const bool can = config->layers >= train::kExtrapolationLayersMin;
  if (flags.extrapolate == "yes" && !can) {
    return Fail(ErrorKind::kBadInput,
                "--extrapolate",
                fmt::format("needs a model of {} layers at least, got {}",
                            train::kExtrapolationLayersMin,
                            config->layers));
  }
  const std::string unlike = WhyUnlike(*config, examples);
  if (flags.extrapolate == "yes" && !unlike.empty()) {
    return Fail(ErrorKind::kBadInput, "--extrapolate", unlike);
  }
  if (flags.extrapolate == "no" || !can || !unlike.empty()) return Measure(flags, examples);
  const double measuring_s = train::MeasuringS(*config, examples, flags.options);
  if (flags.extrapolate == "auto" && measuring_s <= kMeasuringMaxS) return Measure(flags, examples);
  fmt::print(stderr,
             "from models of this shape with 1 and 3 layers and random weights (every split of {} "
             "layers would take about {:.0f} s)\n",
             config->layers,
             measuring_s);
  return train::ExtrapolatePhases(*config, examples, flags.options);
}

Expected<int> RunProfile(Flags flags) {
  const Stopwatch watch;
  const auto apart = CheckApart(
      "--out", flags.out_path, {{"--data", flags.data.path}, {"--model", flags.model_dir}});
  if (!apart) return tl::unexpected(apart.error());
  train::SetThreads(1);
  const auto storage = ChosenStorage(flags.storage);
  if (!storage) return tl::unexpected(storage.error());
  SayStart(*storage);
  flags.options.storage = *storage;
  flags.options.on_phase = Progress();
  double data_bit_per_token = 0.0;
  const auto examples = ReadExamples(flags, &data_bit_per_token);
  if (!examples) return tl::unexpected(examples.error());
  const auto costs = MeasureOrExtrapolate(flags, *examples);
  if (!costs) return tl::unexpected(costs.error());
  PrintCosts(*costs);
  if (!costs->checks.empty()) PrintChecks(costs->checks);
  const auto written = WriteFileAtomically(
      flags.out_path, WriteProfile(ToProfile(flags, *costs, data_bit_per_token)));
  if (!written) return tl::unexpected(written.error());
  fmt::print(stderr,
             "{}: {:.0f} tokens x {} epochs, {:.1f} GFLOP/s per core, measured in {:.0f} s\n",
             flags.out_path,
             costs->tokens,
             flags.options.train.epochs,
             costs->gemm_flop_per_s * 1e-9,
             watch.ElapsedS());
  return kExitOk;
}

}  // namespace

void AddProfile(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineVerb(app, "profile");
  verb.add_option("--model", flags->model_dir, "Hugging Face folder, or GGUF file").required();
  AddDataOptions(
      verb, "Records, conversations or text, a part of which is trained on", &flags->data);
  verb.add_option("--out", flags->out_path, "Profile to write (dashf.profile/1)").required();
  verb.add_option("--objective", flags->objective, "The user phase's loss")
      .capture_default_str()
      .check(IsMember({"early_exit", "full_depth"}));
  verb.add_option("--max-tokens", flags->record_tokens_max, "Most tokens of one record")
      .capture_default_str()
      .check(Range(3, 1 << 20));
  verb.add_option("--sample-tokens", flags->options.tokens_max, "Tokens of the sample")
      .capture_default_str()
      .check(Range(1, 1 << 24));
  verb.add_option("--epochs", flags->options.train.epochs, "Passes over the data in each phase")
      .capture_default_str()
      .check(Range(1, 100000));
  verb.add_option("--joint-epochs",
                  flags->joint_epochs,
                  "Further passes at the end, in which the server trains all layers")
      .capture_default_str()
      .check(Range(0, 100000));
  verb.add_option("--batch", flags->options.train.batch_size, "Records per step")
      .capture_default_str()
      .check(Range(1, 4096));
  verb.add_option(
          "--accumulate", flags->options.train.accumulate, "Take a step every so many batches")
      .capture_default_str()
      .check(Range(1, 4096));
  verb.add_option("--adapter", flags->adapter, "What is trained: LoRA or LLaMA-Adapter's prompts")
      .capture_default_str()
      .check(IsMember({"lora", "adaption_prompt"}));
  verb.add_option("--targets", flags->options.adapter.lora.targets, "Projections with LoRA")
      .capture_default_str()
      .delimiter(',');
  verb.add_option("--rank", flags->options.adapter.lora.rank, "LoRA rank")
      .capture_default_str()
      .check(Range(1, 4096));
  verb.add_option("--prompt-length", flags->options.adapter.prompt.length, "Vectors of a prompt")
      .capture_default_str()
      .check(Range(1, 4096));
  AddArithmeticOption(verb, &flags->storage);
  AddWeightsOption(verb, &flags->storage);
  AddBaseCacheOption(verb, &flags->base_cache);
  verb.add_option(
          "--core-power-w", flags->core_power_w, "A busy core's power, for the energy model")
      .capture_default_str()
      .check(FinitePositive());
  verb.add_option("--extrapolate",
                  flags->extrapolate,
                  "From models of the same shape with 1 and 3 layers, instead of measuring every "
                  "split: yes, no, or auto, where that would take over a minute")
      .capture_default_str()
      .check(IsMember({"auto", "yes", "no"}));
  verb.add_flag("--check",
                flags->check,
                "Measure on half of the records, foretell the other half's times and measure those "
                "too (an extrapolation is always checked)");
  verb.footer(kExamples);
  verb.callback([flags, &run] {
    flags->options.objective = flags->objective == "early_exit" ? train::UserObjective::kEarlyExit
                                                                : train::UserObjective::kFullDepth;
    flags->options.adapter.kind =
        flags->adapter == "lora" ? train::AdapterKind::kLora : train::AdapterKind::kAdaptionPrompt;
    run = [flags] { return RunProfile(*flags); };
  });
}

}  // namespace dashf::cli
