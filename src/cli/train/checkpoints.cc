#include "cli/train/checkpoints.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "train/compute.h"

namespace dashf::cli {

namespace fs = std::filesystem;

Checkpoints::Checkpoints(const LocalTraining& training,
                         const std::vector<corpus::Example>& examples,
                         int first,
                         int last,
                         const train::Adapter& initial)
    : training_(training),
      examples_(examples),
      first_(first),
      last_(last),
      initial_(initial),
      path_(fs::path(training.out_dir) / "checkpoint" / "training.safetensors"),
      digesting_(std::async(std::launch::async, train::ModelDigest, training.model_dir)) {}

Expected<train::TrainingIdentity> Checkpoints::Identity() {
  if (identity_) return *identity_;
  const auto model_digest = digesting_.get();
  if (!model_digest) return tl::unexpected(model_digest.error());
  identity_ = train::IdentityOf(
      *model_digest, examples_, first_, last_, training_.objective, training_.options, initial_);
  identity_->emplace("arithmetic", train::Name(training_.storage.arithmetic));
  identity_->emplace("weights", train::Name(training_.storage.projections));
  return *identity_;
}

Expected<std::optional<train::TrainingState>> Checkpoints::Begin() {
  std::error_code unknown;  // Then reading tells.
  if (!training_.resume) {
    if (!fs::exists(path_, unknown)) return std::nullopt;
    return Fail(ErrorKind::kUsage,
                path_.string(),
                "is a training that was interrupted: go on with it by --resume, or remove it");
  }
  const auto identity = Identity();
  if (!identity) return tl::unexpected(identity.error());
  auto state = train::ReadCheckpoint(path_, *identity);
  if (!state) return tl::unexpected(state.error());
  steps_kept_ = static_cast<int>(state->losses.size());
  fmt::print(stderr, "{}: going on after step {}\n", path_.string(), *steps_kept_);
  return std::move(*state);
}

Expected<void> Checkpoints::Keep(const train::TrainingState& state, bool now) {
  const auto step = static_cast<int>(state.losses.size());
  if (step == train::PlannedSteps(training_.options, examples_.size())) last_state_ = state;
  const auto& [steps, elapsed_s] = training_.checkpoint;
  const bool due =
      (steps && step % *steps == 0) || (elapsed_s && since_kept_.ElapsedS() >= *elapsed_s);
  if (!due && !now) return {};
  return Write(state);
}

Expected<void> Checkpoints::Write(const train::TrainingState& state) {
  const auto identity = Identity();
  if (!identity) return tl::unexpected(identity.error());
  if (auto written = train::WriteCheckpoint(path_, state, *identity); !written) {
    ::rmdir(path_.parent_path().c_str());  // Unless an older state is there.
    return written;
  }
  steps_kept_ = static_cast<int>(state.losses.size());
  since_kept_ = Stopwatch();
  return {};
}

void Checkpoints::End() {
  std::error_code unimportant;
  fs::remove(path_, unimportant);
  ::rmdir(path_.parent_path().c_str());  // Unless something else lies there.
}

Error Checkpoints::KeepLast(const Error& error) {
  if (last_state_) static_cast<void>(Write(*last_state_));  // If not, the older one stays.
  return WithAdvice(error);
}

Error Checkpoints::WithAdvice(const Error& error) const {
  if (!steps_kept_) return error;
  Error advised = error;
  advised.message +=
      fmt::format("; --resume goes on after step {}, from {}", *steps_kept_, path_.string());
  return advised;
}

}  // namespace dashf::cli
