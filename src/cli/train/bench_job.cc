#include "cli/train/bench_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/peak_memory.h"
#include "cli/command.h"
#include "llama/processor.h"
#include "train/compute.h"
#include "train/memory_forecast.h"
#include "train/peft_io.h"
#include "train/phases.h"

namespace dashf::cli {
namespace {

constexpr int kTokenMax = 1 << 30;
constexpr std::pair<Trains, const char*> kTrains[] = {
    {Trains::kAllLayers, "all_layers"},
    {Trains::kUserEarlyExit, "user_early_exit"},
    {Trains::kUserFullDepth, "user_full_depth"},
    {Trains::kServer, "server"},
};

corpus::Example ReadExample(JsonReader reader) {
  corpus::Example example;
  reader.ForEach("tokens", [&](const JsonReader& token) {
    example.tokens.push_back(static_cast<int>(token.AsInteger(0, kTokenMax)));
  });
  reader.ForEach("answers", [&](JsonReader answer) {
    example.answers.push_back({static_cast<int>(answer.Integer("begin", 1, kTokenMax)),
                               static_cast<int>(answer.Integer("end", 1, kTokenMax))});
    answer.RejectUnknownKeys();
  });
  reader.RejectUnknownKeys();
  return example;
}

const BenchBatch& ExamplesOf(const BenchJob& job, std::size_t phase) {
  return job.batches[static_cast<std::size_t>(job.phases[phase].batch)];
}

// Of one phase, which begins now.
train::TrainOptions OptionsOf(const BenchJob& job, std::size_t phase, bool recompute) {
  train::TrainOptions options;
  options.epochs = job.phases[phase].epochs;
  options.batch_size = static_cast<int>(ExamplesOf(job, phase).size());
  options.learning_rate = job.learning_rate;
  options.weight_decay = job.weight_decay;
  options.gradient_norm_max = job.gradient_norm_max;
  options.recompute = recompute;
  options.on_step = [&job, phase, begin = std::clock()](const train::StepReport& step) {
    const double processor_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    const nlohmann::ordered_json line = {
        {"phase", phase},
        {"loss", step.loss},
        {"elapsed_s", job.processor_time ? processor_s : step.elapsed_s}};
    fmt::print("{}\n", line.dump());
    std::fflush(stdout);  // The reader's clock tells when the first step was done.
    return true;
  };
  return options;
}

Expected<train::PhaseReport> Train(const train::Model& model,
                                   const BenchJob& job,
                                   std::size_t phase,
                                   bool recompute,
                                   train::Adapter* adapter) {
  const BenchBatch& examples = ExamplesOf(job, phase);
  const train::TrainOptions options = OptionsOf(job, phase, recompute);
  switch (job.trains) {
    case Trains::kAllLayers:
      return TrainAllLayers(model, examples, options, adapter);
    case Trains::kUserEarlyExit:
      return TrainUserPhase(
          model, examples, job.split, train::UserObjective::kEarlyExit, options, adapter);
    case Trains::kUserFullDepth:
      return TrainUserPhase(
          model, examples, job.split, train::UserObjective::kFullDepth, options, adapter);
    case Trains::kServer:
      break;
  }
  return TrainServerPhase(model, examples, job.split, options, adapter);
}

Expected<void> TrainPhases(const train::Model& model,
                           const BenchJob& job,
                           bool recompute,
                           train::Adapter adapter) {
  for (std::size_t phase = 0; phase < job.phases.size(); ++phase) {
    const auto trained = Train(model, job, phase, recompute, &adapter);
    if (!trained) return tl::unexpected(trained.error());
  }
  return {};
}

// Of the phase that takes most.
double ForetoldBytes(const train::ModelConfig& model,
                     const llama::Storage& storage,
                     const BenchJob& job,
                     bool recompute,
                     const train::Adapter& adapter) {
  const bool user = job.trains == Trains::kUserEarlyExit || job.trains == Trains::kUserFullDepth;
  const auto objective = job.trains == Trains::kUserEarlyExit ? train::UserObjective::kEarlyExit
                                                              : train::UserObjective::kFullDepth;
  const double process_bytes = ResidentMemoryBytes();
  double largest = 0.0;
  for (std::size_t phase = 0; phase < job.phases.size(); ++phase) {
    const auto forecast = train::ForetellMemory(model,
                                                storage,
                                                ExamplesOf(job, phase),
                                                {},
                                                job.trains == Trains::kServer ? job.split + 1 : 1,
                                                user ? job.split : model.layers,
                                                objective,
                                                OptionsOf(job, phase, recompute),
                                                adapter);
    largest = std::max(largest, forecast.Total());
  }
  return process_bytes + largest;
}

}  // namespace

Expected<void> WriteJob(const BenchJob& job, const std::string& path) {
  nlohmann::ordered_json batches = nlohmann::ordered_json::array();
  for (const BenchBatch& batch : job.batches) {
    batches.push_back(nlohmann::ordered_json::array());
    for (const corpus::Example& example : batch) {
      nlohmann::ordered_json answers = nlohmann::ordered_json::array();
      for (const auto& [begin, end] : example.answers) {
        answers.push_back({{"begin", begin}, {"end", end}});
      }
      batches.back().push_back({{"tokens", example.tokens}, {"answers", answers}});
    }
  }
  nlohmann::ordered_json phases = nlohmann::ordered_json::array();
  for (const auto& [batch, epochs] : job.phases) {
    phases.push_back({{"batch", batch}, {"epochs", epochs}});
  }
  return WriteFileAtomically(path,
                             DumpRows({{"model", job.model_dir},
                                       {"adapter", job.adapter_dir},
                                       {"threads", job.threads},
                                       {"processor_time", job.processor_time},
                                       {"trains", kTrains[static_cast<int>(job.trains)].second},
                                       {"split", job.split},
                                       {"learning_rate", job.learning_rate},
                                       {"weight_decay", job.weight_decay},
                                       {"gradient_norm_max", job.gradient_norm_max},
                                       {"batches", batches},
                                       {"phases", phases}}));
}

Expected<BenchJob> ReadJob(const std::string& path) {
  const auto document = JsonDocument::ReadFile(path);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  BenchJob job;
  job.model_dir = root.String("model");
  job.adapter_dir = root.String("adapter");
  job.threads = static_cast<int>(root.Integer("threads", 1, 1024));
  job.processor_time = root.Boolean("processor_time");
  const std::string trains = root.String("trains");
  bool known = false;
  for (const auto& [value, name] : kTrains) {
    if (trains != name) continue;
    job.trains = value;
    known = true;
  }
  if (!known) root.Reject("trains", "is no phase of training");
  job.split = static_cast<int>(root.Integer("split", 0, kTokenMax));
  job.learning_rate = root.Number("learning_rate", kPositive);
  job.weight_decay = root.Number("weight_decay", kNonNegative);
  job.gradient_norm_max = root.Number("gradient_norm_max", kPositive);
  root.ForEach("batches", [&](const JsonReader& examples) {
    job.batches.emplace_back();
    examples.ForEach(
        [&](const JsonReader& example) { job.batches.back().push_back(ReadExample(example)); });
  });
  root.ForEach("phases", [&](JsonReader phase) {
    const std::int64_t last = std::ssize(job.batches) - 1;
    job.phases.push_back({static_cast<int>(phase.Integer("batch", 0, last)),
                          static_cast<int>(phase.Integer("epochs", 1, 100000))});
    phase.RejectUnknownKeys();
  });
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return job;
}

Expected<void> CarryOutJob(const BenchJob& job, const llama::Storage& storage, bool recompute) {
  train::SetThreads(job.threads);
  const auto config = train::LoadModelConfig(job.model_dir);
  if (!config) return tl::unexpected(config.error());
  auto adapter = train::LoadAdapter(job.adapter_dir, *config);
  if (!adapter) return tl::unexpected(adapter.error());
  const double foretold_bytes = ForetoldBytes(*config, storage, job, recompute, *adapter);
  const auto model = train::LoadModel(job.model_dir, storage);
  if (!model) return tl::unexpected(model.error());
  const double loaded_bytes = ResidentMemoryBytes();
  const auto trained = TrainPhases(*model, job, recompute, std::move(*adapter));
  if (!trained) return trained;
  const double peak_bytes = PeakMemoryBytes();  // Before the matrix product takes its own.
  const nlohmann::ordered_json line = {
      {"program",
       fmt::format("dashf {}{}{}",
                   DASHF_VERSION,
                   storage.arithmetic == llama::Arithmetic::kBFloat16 ? " bfloat16" : "",
                   recompute ? " recompute" : "")},
      {"settings",
       fmt::format("{}, {}{}",
                   train::Name(storage.arithmetic),
                   llama::ProductKernels(),
                   recompute ? ", recompute" : "")},
      {"loaded_bytes", loaded_bytes},
      {"peak_bytes", peak_bytes},
      {"gemm_flop_per_s", train::MeasureGemmFlopPerS()},
      {"foretold_bytes", foretold_bytes}};
  fmt::print("{}\n", line.dump());
  return {};
}

}  // namespace dashf::cli
