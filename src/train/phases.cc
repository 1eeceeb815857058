#include "train/phases.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <memory>
#include <utility>

#include "base/rng.h"
#include "base/termination.h"
#include "train/batch_order.h"
#include "train/loss_watch.h"
#include "train/optimizer.h"
#include "train/phase_gradient.h"
#include "train/step_gradient.h"
#include "train/trained_parameters.h"
#include "train/within_memory.h"

namespace dashf::train {
namespace {

double ProcessCpuS() {
  std::timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

TrainingState InitialState(const Adapter& adapter, const Phase& phase) {
  TrainingState state;
  state.parameters = TrainedParameters(adapter, phase.first_trained, phase.last_trained);
  state.optimizer = AdamWState(state.parameters.size());
  state.best = state.parameters;
  return state;
}

// A phase on its way: takes one step at a time, and knows when it no longer should.
class Trainer {
 public:
  Trainer(const std::vector<corpus::Example>& examples,
          const TrainOptions& options,
          const Stopwatch& clock,
          std::unique_ptr<PhaseGradient> computation,
          TrainingState state)
      : examples_(examples),
        options_(options),
        steps_(PlannedSteps(options, examples.size())),
        clock_(clock),
        computation_(std::move(computation)),
        state_(std::move(state)),
        gradient_(state_.parameters.size()),
        scratch_(options.accumulate > 1 ? gradient_.size() : 0),
        watch_(options.explosion_factor) {
    for (const double loss : state_.losses) watch_.Add(loss);
  }

  // Steps until the last one, or until on_step or the loss ends it.
  Expected<void> Run() {
    const int done = static_cast<int>(state_.losses.size());
    Rng order = Rng(options_.seed).Stream("batches");
    const int step_size = options_.batch_size * options_.accumulate;
    for (int step = 0; step < steps_ && !stopped_;) {
      for (const auto& chosen : BatchOrder(examples_, step_size, &order)) {
        if (step == steps_) break;
        if (++step <= done) continue;  // Taken before, in the same order.
        if (divergence_ = Step(step, chosen); divergence_) return {};
        stopped_ = options_.on_step && !options_.on_step(Report(step));
        if (options_.on_state) {
          if (auto passed = options_.on_state(state_); !passed) return passed;
        }
        if (stopped_) break;
      }
    }
    return {};
  }

  const TrainingState& state() const { return state_; }
  bool stopped() const { return stopped_; }
  const std::optional<Divergence>& divergence() const { return divergence_; }

 private:
  double LearningRate(int step) const {
    return options_.learning_rate * options_.schedule.Share(step, steps_);
  }

  StepReport Report(int step) const {
    return {
        step, steps_, state_.losses.back(), clock_.ElapsedS(), LearningRate(step), state_.tokens};
  }

  // Leaves the state as it was if the loss has diverged.
  std::optional<Divergence> Step(int step, const std::vector<std::size_t>& chosen) {
    std::vector<float>& parameters = state_.parameters;
    const double loss = StepGradient(examples_,
                                     chosen,
                                     options_.batch_size,
                                     parameters,
                                     computation_.get(),
                                     scratch_,
                                     gradient_);
    const double norm = ClipGradient(options_.gradient_norm_max, gradient_);
    if (!std::isfinite(loss) || !std::isfinite(norm)) {
      return Divergence{
          step, fmt::format("loss {} with gradient norm {}", loss, norm), state_.best_steps};
    }
    watch_.Add(loss);
    if (watch_.Exploded()) {
      return Divergence{
          step,
          fmt::format("smoothed loss {:.4g} after {:.4g}", watch_.smoothed(), watch_.best()),
          state_.best_steps};
    }
    if (watch_.at_best()) {
      state_.best = parameters;
      state_.best_steps = step - 1;
    }
    AdamWStep(LearningRate(step),
              options_.weight_decay,
              parameters.size(),
              gradient_,
              parameters,
              &state_.optimizer);
    state_.losses.push_back(loss);
    for (const std::size_t i : chosen) state_.tokens += std::ssize(examples_[i].tokens);
    return std::nullopt;
  }

  const std::vector<corpus::Example>& examples_;
  const TrainOptions& options_;
  const int steps_;
  const Stopwatch& clock_;
  std::unique_ptr<PhaseGradient> computation_;
  TrainingState state_;
  std::vector<float> gradient_, scratch_;
  LossWatch watch_;
  bool stopped_ = false;
  std::optional<Divergence> divergence_;
};

Expected<PhaseReport> TrainPhase(const Model& model,
                                 const std::vector<corpus::Example>& examples,
                                 const Phase& phase,
                                 const TrainOptions& options,
                                 Adapter* adapter) {
  const Stopwatch clock;
  const double cpu_before_s = ProcessCpuS();
  Trainer trainer(examples,
                  options,
                  clock,
                  NativePhaseGradient(model, examples, phase, *adapter, options.batch_size),
                  options.from != nullptr ? *options.from : InitialState(*adapter, phase));
  if (auto ran = trainer.Run(); !ran) return tl::unexpected(ran.error());
  const TrainingState& state = trainer.state();
  SetTrainedParameters(trainer.divergence() ? state.best : state.parameters,
                       phase.first_trained,
                       phase.last_trained,
                       adapter);
  return PhaseReport{.steps = static_cast<int>(state.losses.size()),
                     .losses = state.losses,
                     .tokens = state.tokens,
                     .elapsed_s = clock.ElapsedS(),
                     .cpu_s = ProcessCpuS() - cpu_before_s,
                     .stopped = trainer.stopped(),
                     .divergence = trainer.divergence()};
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
  const Phase phase{first - 1, std::max(last, first - 1), loss_after, first - 1};
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
