#include "train/phase_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/termination.h"
#include "llama/threads.h"
#include "train/batch_order.h"
#include "train/flop.h"
#include "train/phase_gradient.h"
#include "train/processor_time.h"
#include "train/step_gradient.h"
#include "train/trained_parameters.h"
#include "train/trainer.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

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

Phase PhaseOf(
    const Model& model, int first, int last, UserObjective objective, const TrainOptions& options) {
  const int loss_after = objective == UserObjective::kEarlyExit ? last : model.config().layers;
  return {first - 1, std::max(last, first - 1), loss_after, first - 1, options.cache_folder};
}

// What a phase does, and its unit: a batch of hidden states, a token that passes in a step.
struct PlannedWork {
  PlannedWork(const Model& model,
              const std::vector<corpus::Example>& examples,
              const Phase& phase,
              const TrainOptions& options,
              const Adapter& adapter) {
    const Volume volume = VolumeOf(examples, model.config().sliding_window);
    const PhaseFlop flop =
        FlopOfLayers(model.config(),
                     adapter.config,
                     volume,
                     phase.first_trained + 1,
                     phase.last_trained,
                     phase.loss_after == phase.last_trained ? UserObjective::kEarlyExit
                                                            : UserObjective::kFullDepth);
    const auto batch = static_cast<std::size_t>(options.batch_size);
    batches = static_cast<int>((examples.size() + batch - 1) / batch);
    flop_per_batch = flop.once / std::max(1, batches);
    flop_per_token = flop.pass / std::max(1.0, volume.tokens);
    TrainOptions epoch = options;
    epoch.epochs = 1;
    epoch.steps_max = 0;
    const double passes = PlannedSteps(options, examples.size()) /
                          std::max(1.0, 1.0 * PlannedSteps(epoch, examples.size()));
    total = flop.once + passes * flop.pass;
  }

  int batches = 0;
  double flop_per_batch = 0.0, flop_per_token = 0.0, total = 0.0;
};

}  // namespace

// Stays where it is: the trainer looks at the options and the clock.
struct PhaseTraining::Work {
  Work(const Model& model,
       const std::vector<corpus::Example>& chosen,
       const Phase& trained,
       const TrainOptions& how,
       const Adapter& adapter)
      : examples(chosen),
        phase(trained),
        options(how),
        planned(model, examples, phase, options, adapter),
        computation(
            phase.first_trained == phase.last_trained
                ? nullptr
                : NativePhaseGradient(
                      model, examples, phase, adapter, options.batch_size, options.recompute)),
        trainer(examples,
                options,
                clock,
                options.from != nullptr ? *options.from : InitialState(adapter, phase)),
        next(computation == nullptr ? nullptr : trainer.Next()),
        gradient(trainer.state().parameters.size()),
        scratch(options.accumulate > 1 ? gradient.size() : 0) {
    options.from = nullptr;
  }

  Expected<bool> Advance() {
    if (next == nullptr) return false;
    if (computation->Prepare()) {
      ++prepared;
      return true;
    }
    prepared = planned.batches;
    const double loss = StepGradient(examples,
                                     *next,
                                     options.batch_size,
                                     trainer.state().parameters,
                                     computation.get(),
                                     scratch,
                                     gradient);
    if (auto taken = trainer.Take(loss, gradient); !taken) return tl::unexpected(taken.error());
    next = trainer.Next();
    return next != nullptr;
  }

  double FlopDone() const {
    if (next == nullptr) return planned.total;
    const double done = prepared * planned.flop_per_batch +
                        static_cast<double>(trainer.state().tokens) * planned.flop_per_token;
    return std::min(done, planned.total);
  }

  const std::vector<corpus::Example>& examples;
  const Phase phase;
  TrainOptions options;
  const PlannedWork planned;
  const Stopwatch clock;
  const std::unique_ptr<PhaseGradient> computation;  // None: no layer is trained.
  Trainer trainer;
  const std::vector<std::size_t>* next;  // The examples of the step to come.
  std::vector<float> gradient, scratch;
  int prepared = 0;  // Batches of hidden states.
  double cpu_s = 0.0;
};

Expected<void> PhaseTraining::Check(const Model& model,
                                    const std::vector<corpus::Example>& examples,
                                    int first,
                                    int last,
                                    const TrainOptions& options,
                                    const Adapter& adapter) {
  const int layers = model.config().layers;
  if (first < 1 || last > layers) {
    return Fail(ErrorKind::kBadInput,
                "layers",
                fmt::format("must be in [1, {}], got {} to {}", layers, first, last));
  }
  if (auto sound = options.Validate(); !sound) return sound;
  if (auto sound = CheckAdapter(adapter, model.config()); !sound) return sound;
  if (auto sound = CheckExamples(examples, model.config()); !sound) return sound;
  if (options.from == nullptr) return {};
  return CheckState(*options.from,
                    TrainedParameters(adapter, first - 1, std::max(last, first - 1)).size(),
                    PlannedSteps(options, examples.size()));
}

Expected<PhaseTraining> PhaseTraining::Begin(const Model& model,
                                             const std::vector<corpus::Example>& examples,
                                             int first,
                                             int last,
                                             UserObjective objective,
                                             const TrainOptions& options,
                                             const Adapter& adapter) {
  const Phase phase = PhaseOf(model, first, last, objective, options);
  return WithinMemory("training", [&]() -> Expected<PhaseTraining> {
    if (auto sound = Check(model, examples, first, last, options, adapter); !sound) {
      return tl::unexpected(sound.error());
    }
    return PhaseTraining(std::make_unique<Work>(model, examples, phase, options, adapter));
  });
}

double PhaseTraining::FlopOf(const Model& model,
                             const std::vector<corpus::Example>& examples,
                             int first,
                             int last,
                             UserObjective objective,
                             const TrainOptions& options,
                             const Adapter& adapter) {
  const Phase phase = PhaseOf(model, first, last, objective, options);
  return PlannedWork(model, examples, phase, options, adapter).total;
}

PhaseTraining::PhaseTraining(std::unique_ptr<Work> work) : work_(std::move(work)) {}
PhaseTraining::PhaseTraining(PhaseTraining&&) noexcept = default;
PhaseTraining& PhaseTraining::operator=(PhaseTraining&&) noexcept = default;
PhaseTraining::~PhaseTraining() = default;

Expected<bool> PhaseTraining::Advance() {
  const llama::FlushSubnormals flush;  // AdamW's means of gradients that vanish pass through them.
  const double before_s = ProcessCpuS();
  auto advanced = WithinMemory("training", [this] { return work_->Advance(); });
  work_->cpu_s += ProcessCpuS() - before_s;
  return advanced;
}

int PhaseTraining::steps() const {
  return static_cast<int>(state().losses.size());
}

double PhaseTraining::cpu_s() const {
  return work_->cpu_s;
}

double PhaseTraining::flop_done() const {
  return work_->FlopDone();
}

const TrainingState& PhaseTraining::state() const {
  return work_->trainer.state();
}

PhaseReport PhaseTraining::Finish(Adapter* adapter) const {
  PhaseReport report = work_->trainer.Finish(work_->phase, adapter);
  report.cpu_s = work_->cpu_s;
  return report;
}

}  // namespace dashf::train
