#include "runtime/kept_phase.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/failpoint.h"
#include "runtime/learning.h"

namespace dashf::runtime {
namespace {

// After a step that took longer than this there is a checkpoint in any case, so that a node that is
// told to stop while it makes one has lost no more than that.
constexpr double kLongStepS = 5.0;

void Write(const PhaseFile& file,
           std::string_view event,
           const std::string& key,
           const nlohmann::ordered_json& value) {
  nlohmann::ordered_json fields = file.about;
  fields[key] = value;
  file.telemetry->Write(event, std::move(fields));
}

}  // namespace

train::TrainingIdentity IdentityOf(const PhaseWork& work,
                                   const std::string& model_sha256,
                                   std::uint32_t round,
                                   const TrainingSettings& settings) {
  auto identity = train::IdentityOf(model_sha256,
                                    work.examples,
                                    work.first,
                                    work.last,
                                    work.objective,
                                    work.options,
                                    work.adapter);
  identity["round"] = fmt::to_string(round);
  identity["settings"] = WriteTrainingSettings(settings);
  if (const auto storage = BaseStorage(settings.storage)) {  // "auto" is what this processor has.
    identity["arithmetic"] = train::Name(storage->arithmetic);
    identity["weights"] = train::Name(storage->projections);
  }
  return identity;
}

Expected<KeptPhase> KeptPhase::Begin(PhaseFile file,
                                     const PhaseWork& work,
                                     const std::optional<Spent>& earlier) {
  Spent before = earlier.value_or(Spent{0.0, 0.0, file.meter ? std::optional(0.0) : std::nullopt});
  train::TrainOptions options = work.options;
  std::optional<train::TrainingState> state;
  std::error_code unknown;
  if (!earlier && std::filesystem::exists(file.path, unknown)) {
    auto read = train::ReadCheckpoint(file.path, work.identity);
    if (read) {
      state = std::move(*read);
      before = {state->elapsed_s, state->cpu_s, {}};  // Of its energy the file says nothing.
      options.from = &*state;
    } else {
      Write(file, "checkpoint_refused", "reason", read.error().Text());
      std::filesystem::remove(file.path, unknown);
    }
  }
  auto training = train::PhaseTraining::Begin(
      work.model, work.examples, work.first, work.last, work.objective, options, work.adapter);
  if (!training) return tl::unexpected(training.error());
  if (file.meter) Write(file, "phase_metered", "meter", file.meter->name());
  if (state) Write(file, "phase_resumed", "step", training->steps());
  return KeptPhase(std::move(file), work.identity, std::move(*training), before);
}

Expected<bool> KeptPhase::Advance() {
  const Stopwatch watch;
  const int before = training_.steps();
  if (energy_j_ && file_.meter) file_.meter->Begin();
  auto more = training_.Advance();
  if (energy_j_ && file_.meter) {
    const auto step_j = file_.meter->End();
    energy_j_ = step_j ? std::optional(*energy_j_ + *step_j) : std::nullopt;
  }
  if (!more || training_.steps() == before) return more;
  Failpoint(file_.node, fmt::format("{}_step_{}", file_.about.value("phase", ""), before + 1));
  const bool due = kept_.MeasuredS() >= file_.interval_s || watch.MeasuredS() > kLongStepS;
  if (due && *more) Keep();
  return more;
}

void KeptPhase::Keep() {
  if (training_.steps() == kept_steps_) return;
  train::TrainingState state = training_.state();
  state.elapsed_s = spent().elapsed_s;
  state.cpu_s = spent().cpu_s;
  kept_ = Stopwatch();
  if (const auto written = train::WriteCheckpoint(file_.path, state, identity_); !written) {
    return Write(file_, "checkpoint_failed", "reason", written.error().Text());
  }
  kept_steps_ = training_.steps();
}

void KeptPhase::Remove() const {
  std::error_code ignored;  // Found again, it is refused: the next work is another.
  std::filesystem::remove(file_.path, ignored);
}

Spent KeptPhase::spent() const {
  return {
      before_.elapsed_s + file_.clock_s() - began_s_, before_.cpu_s + training_.cpu_s(), energy_j_};
}

}  // namespace dashf::runtime
