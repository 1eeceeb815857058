#include "train/trainer.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "train/batch_order.h"
#include "train/optimizer.h"
#include "train/trained_parameters.h"

namespace dashf::train {

TrainingState InitialState(const Adapter& adapter, const Phase& phase) {
  TrainingState state;
  state.parameters = TrainedParameters(adapter, phase.first_trained, phase.last_trained);
  state.optimizer = AdamWState(state.parameters.size());
  state.best = state.parameters;
  return state;
}

Trainer::Trainer(const std::vector<corpus::Example>& examples,
                 const TrainOptions& options,
                 const Stopwatch& clock,
                 TrainingState state)
    : examples_(examples),
      options_(options),
      steps_(PlannedSteps(options, examples.size())),
      clock_(clock),
      state_(std::move(state)),
      watch_(options.explosion_factor),
      order_(Rng(options.seed).Stream("batches")) {
  for (const double loss : state_.losses) watch_.Add(loss);
}

const std::vector<std::size_t>* Trainer::Next() {
  const int done = static_cast<int>(state_.losses.size());
  while (!stopped_ && !divergence_ && step_ < steps_) {
    if (at_ == epoch_.size()) {
      epoch_ = BatchOrder(examples_, options_.batch_size * options_.accumulate, &order_);
      at_ = 0;
    }
    ++at_;
    if (++step_ > done) return &epoch_[at_ - 1];  // Others were taken before, in the same order.
  }
  return nullptr;
}

Expected<void> Trainer::Take(double loss, std::span<float> gradient) {
  std::vector<float>& parameters = state_.parameters;
  const double norm = ClipGradient(options_.gradient_norm_max, gradient);
  if (!std::isfinite(loss) || !std::isfinite(norm)) {
    divergence_ = Divergence{
        step_, fmt::format("loss {} with gradient norm {}", loss, norm), state_.best_steps};
    return {};
  }
  watch_.Add(loss);
  if (watch_.Exploded()) {
    divergence_ = Divergence{
        step_,
        fmt::format("smoothed loss {:.4g} after {:.4g}", watch_.smoothed(), watch_.best()),
        state_.best_steps};
    return {};
  }
  if (watch_.at_best()) {
    state_.best = parameters;
    state_.best_steps = step_ - 1;
  }
  AdamWStep(LearningRate(),
            options_.weight_decay,
            parameters.size(),
            gradient,
            parameters,
            &state_.optimizer);
  state_.losses.push_back(loss);
  for (const std::size_t i : epoch_[at_ - 1]) state_.tokens += std::ssize(examples_[i].tokens);
  const StepReport report{step_, steps_, loss, clock_.ElapsedS(), LearningRate(), state_.tokens};
  stopped_ = options_.on_step && !options_.on_step(report);
  return options_.on_state ? options_.on_state(state_) : Expected<void>{};
}

PhaseReport Trainer::Finish(const Phase& phase, Adapter* adapter) const {
  SetTrainedParameters(divergence_ ? state_.best : state_.parameters,
                       phase.first_trained,
                       phase.last_trained,
                       adapter);
  PhaseReport report;
  report.steps = static_cast<int>(state_.losses.size());
  report.losses = state_.losses;
  report.tokens = state_.tokens;
  report.stopped = stopped_;
  report.divergence = divergence_;
  return report;
}

}  // namespace dashf::train
