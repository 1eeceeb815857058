#include "train/phases.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <memory>

#include "base/rng.h"
#include "base/termination.h"
#include "train/batch_order.h"
#include "train/optimizer.h"
#include "train/phase_gradient.h"
#include "train/trained_parameters.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

double ProcessCpuS() {
  std::timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Expected<PhaseReport> TrainPhase(const Model& model,
                                 const std::vector<corpus::Example>& examples,
                                 const Phase& phase,
                                 const TrainOptions& options,
                                 Adapter* adapter) {
  const Stopwatch watch;
  const double cpu_before_s = ProcessCpuS();
  std::vector<float> parameters =
      TrainedParameters(*adapter, phase.first_trained, phase.last_trained);
  std::vector<float> gradient(parameters.size());
  const std::unique_ptr<PhaseGradient> computation =
      NativePhaseGradient(model, examples, phase, *adapter, options.batch_size);
  AdamW optimizer(parameters.size(), parameters.size());

  PhaseReport report;
  const std::size_t per_epoch = BatchOrder(examples, options.batch_size, nullptr).size();
  const int steps = static_cast<int>(per_epoch) * options.epochs;
  Rng order = Rng(options.seed).Stream("batches");
  for (int epoch = 0; epoch < options.epochs && !report.stopped; ++epoch) {
    for (const auto& chosen : BatchOrder(examples, options.batch_size, &order)) {
      const double loss = computation->Compute(chosen, parameters, gradient);
      const double norm = ClipGradient(options.gradient_norm_max, gradient);
      if (!std::isfinite(loss) || !std::isfinite(norm)) {
        return Fail(ErrorKind::kNumerical,
                    fmt::format("step {}", report.steps + 1),
                    fmt::format("loss {} with gradient norm {}", loss, norm));
      }
      optimizer.Step(options.learning_rate, options.weight_decay, gradient, parameters);
      report.losses.push_back(loss);
      for (const std::size_t i : chosen) report.tokens += std::ssize(examples[i].tokens);
      ++report.steps;
      if (options.on_step && !options.on_step({report.steps, steps, loss, watch.ElapsedS()})) {
        report.stopped = true;
        break;
      }
    }
  }
  SetTrainedParameters(parameters, phase.first_trained, phase.last_trained, adapter);
  report.elapsed_s = watch.ElapsedS();
  report.cpu_s = ProcessCpuS() - cpu_before_s;
  return report;
}

Expected<void> CheckArguments(const Model& model,
                              const std::vector<corpus::Example>& examples,
                              int k,
                              const TrainOptions& options,
                              const Adapter& adapter) {
  if (k < 0 || k > model.config().layers) {
    return Fail(ErrorKind::kBadInput,
                "split",
                fmt::format("must be in [0, {}], got {}", model.config().layers, k));
  }
  if (auto sound = options.Validate(); !sound) return sound;
  if (auto sound = CheckAdapter(adapter, model.config()); !sound) return sound;
  return CheckExamples(examples, model.config());
}

Expected<PhaseReport> CheckAndTrain(const Model& model,
                                    const std::vector<corpus::Example>& examples,
                                    int k,
                                    const Phase& phase,
                                    const TrainOptions& options,
                                    Adapter* adapter) {
  return WithinMemory("training", [&]() -> Expected<PhaseReport> {
    if (auto sound = CheckArguments(model, examples, k, options, *adapter); !sound) {
      return tl::unexpected(sound.error());
    }
    if (phase.first_trained == phase.last_trained) return PhaseReport{};
    return TrainPhase(model, examples, phase, options, adapter);
  });
}

}  // namespace

Expected<void> TrainOptions::Validate() const {
  const auto rule =
      [](bool holds, const char* name, const char* text, auto value) -> Expected<void> {
    if (holds) return {};
    return Fail(ErrorKind::kBadInput, name, fmt::format("{}, got {}", text, value));
  };
  if (auto r = rule(epochs >= 1 && epochs <= 100000, "epochs", "must be in [1, 100000]", epochs);
      !r)
    return r;
  if (auto r = rule(
          batch_size >= 1 && batch_size <= 4096, "batch_size", "must be in [1, 4096]", batch_size);
      !r)
    return r;
  if (auto r = rule(learning_rate > 0.0 && learning_rate <= 1.0,
                    "learning_rate",
                    "must be in (0, 1]",
                    learning_rate);
      !r)
    return r;
  if (auto r = rule(weight_decay >= 0.0 && weight_decay <= 1.0,
                    "weight_decay",
                    "must be in [0, 1]",
                    weight_decay);
      !r)
    return r;
  return rule(gradient_norm_max > 0.0, "gradient_norm_max", "must be > 0", gradient_norm_max);
}

Expected<PhaseReport> TrainUserPhase(const Model& model,
                                     const std::vector<corpus::Example>& examples,
                                     int k,
                                     UserObjective objective,
                                     const TrainOptions& options,
                                     Adapter* adapter) {
  const int loss_after = objective == UserObjective::kEarlyExit ? k : model.config().layers;
  return CheckAndTrain(model, examples, k, {0, k, loss_after, 0}, options, adapter);
}

Expected<PhaseReport> TrainServerPhase(const Model& model,
                                       const std::vector<corpus::Example>& examples,
                                       int k,
                                       const TrainOptions& options,
                                       Adapter* adapter) {
  const int layers = model.config().layers;
  return CheckAndTrain(model, examples, k, {k, layers, layers, k}, options, adapter);
}

Expected<PhaseReport> TrainAllLayers(const Model& model,
                                     const std::vector<corpus::Example>& examples,
                                     const TrainOptions& options,
                                     Adapter* adapter) {
  return TrainServerPhase(model, examples, 0, options, adapter);
}

}  // namespace dashf::train
