#include "study/training.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"
#include "base/peak_memory.h"
#include "base/rng.h"
#include "study/cost.h"
#include "train/evaluate.h"
#include "train/peft_io.h"

namespace dashf::study {
namespace {

Expected<train::PhaseReport> Train(const train::Model& model,
                                   const UserData& data,
                                   const Phase& phase,
                                   train::TrainOptions options,
                                   train::Adapter* adapter) {
  const int per_pass = StepsPerPass(data, options);
  options.epochs = (phase.steps + per_pass - 1) / per_pass;
  options.on_step = [&phase](const train::StepReport& step) { return step.step < phase.steps; };
  auto report =
      phase.site == Site::kUser
          ? train::TrainUserPhase(model, data.train, phase.k, phase.objective, options, adapter)
          : train::TrainServerPhase(model, data.train, phase.k, options, adapter);
  if (report && report->steps != phase.steps) {
    return Fail(ErrorKind::kNumerical,
                "training",
                fmt::format("made {} steps instead of {}", report->steps, phase.steps));
  }
  return report;
}

std::vector<double> LayerBytes(const train::Adapter& adapter, int layers) {
  std::vector<double> bytes;
  for (int layer = 1; layer <= layers; ++layer) {
    bytes.push_back(static_cast<double>(train::EncodeLayers(adapter, layer, layer).size()));
  }
  return bytes;
}

// First calls load code and grow the heap, which is no phase's doing.
Expected<void> WarmUp(const train::Model& model,
                      const UserData& data,
                      const train::TrainOptions& options,
                      train::Adapter adapter) {
  const auto count = std::min(data.train.size(), static_cast<std::size_t>(options.batch_size));
  const std::vector<corpus::Example> few(data.train.begin(),
                                         data.train.begin() + static_cast<std::ptrdiff_t>(count));
  train::TrainOptions once = options;
  once.epochs = 1;
  const auto report = train::TrainAllLayers(model, few, once, &adapter);
  if (!report) return tl::unexpected(report.error());
  return {};
}

}  // namespace

std::string DigestOf(const UserData& data) {
  Sha256 digest;
  for (const auto* examples : {&data.train, &data.test}) {
    for (const corpus::Example& example : *examples) {
      for (const auto& [begin, end] : example.answers)
        digest.Add(fmt::format("{}-{},", begin, end));
      digest.Add(fmt::format("{};", fmt::join(example.tokens, ",")));
    }
    digest.Add("\n");
  }
  return digest.Hex();
}

int StepsPerPass(const UserData& data, const train::TrainOptions& options) {
  train::TrainOptions once = options;
  once.epochs = 1;
  return std::max(1, train::PlannedSteps(once, data.train.size()));
}

Expected<Outcome> CarryOut(const train::Model& model,
                           const UserData& data,
                           const std::vector<Phase>& phases,
                           const train::TrainOptions& options,
                           std::uint64_t seed,
                           train::Adapter* adapter) {
  const int layers = model.config().layers;
  Outcome outcome{.seed = seed, .training = Text(phases, layers), .data_sha256 = data.sha256};
  train::TrainOptions chosen = options;
  chosen.seed = seed;
  if (auto warm = WarmUp(model, data, options, *adapter); !warm) {
    return tl::unexpected(warm.error());
  }
  ResetPeakMemory();
  const double before_bytes = ResidentMemoryBytes();
  for (std::size_t i = 0; i < phases.size(); ++i) {
    if (i > 0) chosen.seed = Rng(seed).Stream("phase").Stream(i).Next();
    ResetPeakMemory();
    const auto report = Train(model, data, phases[i], chosen, adapter);
    if (!report) return tl::unexpected(report.error());
    SiteCost& cost = phases[i].site == Site::kUser ? outcome.at_user : outcome.at_server;
    cost.cpu_s += report->cpu_s;
    cost.memory_bytes = std::max(cost.memory_bytes, PeakMemoryBytes() - before_bytes);
  }
  const SiteFlop flop = FlopOf(model.config(),
                               adapter->config,
                               train::VolumeOf(data.train, model.config().sliding_window),
                               StepsPerPass(data, options),
                               phases);
  outcome.at_user.flop = flop.user;
  outcome.at_server.flop = flop.server;
  const Traffic traffic = TrafficOf(phases, LayerBytes(*adapter, layers), data.data_bytes);
  outcome.up_bytes = traffic.up_bytes;
  outcome.down_bytes = traffic.down_bytes;
  const auto quality = train::Evaluate(model, adapter, data.test);
  if (!quality) return tl::unexpected(quality.error());
  outcome.loss = quality->loss;
  outcome.exact_match = quality->exact_match;
  return outcome;
}

}  // namespace dashf::study
