#include "train/phases.h"

#include <fmt/format.h>

#include <utility>

#include "base/termination.h"
#include "train/phase_training.h"
#include "train/processor_time.h"

namespace dashf::train {
namespace {

// A phase whose layers are 1..k or k+1..L.
Expected<PhaseReport> TrainOrFail(const Model& model,
                                  const std::vector<corpus::Example>& examples,
                                  int k,
                                  bool first_layers,
                                  UserObjective objective,
                                  const TrainOptions& options,
                                  Adapter* adapter) {
  const int layers = model.config().layers;
  if (k < 0 || k > layers) {
    return Fail(
        ErrorKind::kBadInput, "split", fmt::format("must be in [0, {}], got {}", layers, k));
  }
  Adapter trained = *adapter;
  auto report = TrainLayers(model,
                            examples,
                            first_layers ? 1 : k + 1,
                            first_layers ? k : layers,
                            objective,
                            options,
                            &trained);
  if (!report) return report;
  if (auto sound = CheckDivergence(*report); !sound) return tl::unexpected(sound.error());
  *adapter = std::move(trained);
  return report;
}

}  // namespace

Expected<void> CheckDivergence(const PhaseReport& report) {
  if (!report.divergence) return {};
  return Fail(ErrorKind::kNumerical,
              fmt::format("step {}", report.divergence->step),
              report.divergence->reason);
}

Expected<PhaseReport> TrainLayers(const Model& model,
                                  const std::vector<corpus::Example>& examples,
                                  int first,
                                  int last,
                                  UserObjective objective,
                                  const TrainOptions& options,
                                  Adapter* adapter) {
  const Stopwatch clock;
  const double cpu_before_s = ProcessCpuS();
  auto training = PhaseTraining::Begin(model, examples, first, last, objective, options, *adapter);
  if (!training) return tl::unexpected(training.error());
  for (bool more = true; more;) {
    const auto advanced = training->Advance();
    if (!advanced) return tl::unexpected(advanced.error());
    more = *advanced;
  }
  PhaseReport report = training->Finish(adapter);
  report.elapsed_s = clock.ElapsedS();
  report.cpu_s = ProcessCpuS() - cpu_before_s;
  return report;
}

Expected<PhaseReport> TrainUserPhase(const Model& model,
                                     const std::vector<corpus::Example>& examples,
                                     int k,
                                     UserObjective objective,
                                     const TrainOptions& options,
                                     Adapter* adapter) {
  return TrainOrFail(model, examples, k, /*first_layers=*/true, objective, options, adapter);
}

Expected<PhaseReport> TrainServerPhase(const Model& model,
                                       const std::vector<corpus::Example>& examples,
                                       int k,
                                       const TrainOptions& options,
                                       Adapter* adapter) {
  return TrainOrFail(model,
                     examples,
                     k,
                     /*first_layers=*/false,
                     UserObjective::kFullDepth,
                     options,
                     adapter);
}

Expected<PhaseReport> TrainAllLayers(const Model& model,
                                     const std::vector<corpus::Example>& examples,
                                     const TrainOptions& options,
                                     Adapter* adapter) {
  return TrainServerPhase(model, examples, 0, options, adapter);
}

}  // namespace dashf::train
