#include "train/phases.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/termination.h"
#include "llama/threads.h"
#include "train/batch_order.h"
#include "train/phase_gradient.h"
#include "train/processor_time.h"
#include "train/step_gradient.h"
#include "train/trained_parameters.h"
#include "train/trainer.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

Expected<PhaseReport> TrainPhase(const Model& model,
                                 const std::vector<corpus::Example>& examples,
                                 const Phase& phase,
                                 const TrainOptions& options,
                                 Adapter* adapter) {
  const Stopwatch clock;
  const double cpu_before_s = ProcessCpuS();
  const llama::FlushSubnormals flush;  // AdamW's means of gradients that vanish pass through them.
  const auto computation =
      NativePhaseGradient(model, examples, phase, *adapter, options.batch_size, options.recompute);
  Trainer trainer(examples,
                  options,
                  clock,
                  options.from != nullptr ? *options.from : InitialState(*adapter, phase));
  std::vector<float> gradient(trainer.state().parameters.size());
  std::vector<float> scratch(options.accumulate > 1 ? gradient.size() : 0);
  while (const auto* const chosen = trainer.Next()) {
    const double loss = StepGradient(examples,
                                     *chosen,
                                     options.batch_size,
                                     trainer.state().parameters,
                                     computation.get(),
                                     scratch,
                                     gradient);
    if (auto taken = trainer.Take(loss, gradient); !taken) return tl::unexpected(taken.error());
  }
  PhaseReport report = trainer.Finish(phase, adapter);
  report.elapsed_s = clock.ElapsedS();
  report.cpu_s = ProcessCpuS() - cpu_before_s;
  return report;
}

Expected<void> CheckState(const TrainingState& state, std::size_t parameters, int steps) {
  const auto fits = [&](const std::vector<float>& values) { return values.size() == parameters; };
  if (!fits(state.parameters) || !fits(state.optimizer.mean) || !fits(state.optimizer.square) ||
      !fits(state.best)) {
    return Fail(
        ErrorKind::kBadInput,
        "state",
        fmt::format("must have {} parameters, has {}", parameters, state.parameters.size()));
  }
  const auto done = std::ssize(state.losses);
  if (done <= steps && done == state.optimizer.steps) return {};
  return Fail(ErrorKind::kBadInput,
              "state",
              fmt::format("must be after at most {} steps, is after {}", steps, done));
}

Expected<void> CheckArguments(const Model& model,
                              const std::vector<corpus::Example>& examples,
                              const Phase& phase,
                              const TrainOptions& options,
                              const Adapter& adapter) {
  if (auto sound = options.Validate(); !sound) return sound;
  if (auto sound = CheckAdapter(adapter, model.config()); !sound) return sound;
  if (auto sound = CheckExamples(examples, model.config()); !sound) return sound;
  if (options.from == nullptr) return {};
  return CheckState(*options.from,
                    TrainedParameters(adapter, phase.first_trained, phase.last_trained).size(),
                    PlannedSteps(options, examples.size()));
}

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
  if (report->divergence) {
    return Fail(ErrorKind::kNumerical,
                fmt::format("step {}", report->divergence->step),
                report->divergence->reason);
  }
  *adapter = std::move(trained);
  return report;
}

}  // namespace

Expected<PhaseReport> TrainLayers(const Model& model,
                                  const std::vector<corpus::Example>& examples,
                                  int first,
                                  int last,
                                  UserObjective objective,
                                  const TrainOptions& options,
                                  Adapter* adapter) {
  const int layers = model.config().layers;
  if (first < 1 || last > layers) {
    return Fail(ErrorKind::kBadInput,
                "layers",
                fmt::format("must be in [1, {}], got {} to {}", layers, first, last));
  }
  const int loss_after = objective == UserObjective::kEarlyExit ? last : layers;
  const Phase phase{
      first - 1, std::max(last, first - 1), loss_after, first - 1, options.cache_folder};
  return WithinMemory("training", [&]() -> Expected<PhaseReport> {
    if (auto sound = CheckArguments(model, examples, phase, options, *adapter); !sound) {
      return tl::unexpected(sound.error());
    }
    if (phase.first_trained == phase.last_trained) return PhaseReport{};
    return TrainPhase(model, examples, phase, options, adapter);
  });
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
