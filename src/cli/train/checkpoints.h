// The checkpoints of one training: OUT/checkpoint/training.safetensors, and when it is written.
#pragma once

#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/termination.h"
#include "cli/train/local_training.h"
#include "train/checkpoint.h"

namespace dashf::cli {

class Checkpoints {
 public:
  // Computes the weights' digest meanwhile; the arguments must outlive it.
  Checkpoints(const LocalTraining& training,
              const std::vector<corpus::Example>& examples,
              int first,
              int last,
              const train::Adapter& initial);

  // With --resume the state to go on from. Without, kUsage if there is one, lest it be overwritten.
  Expected<std::optional<train::TrainingState>> Begin();
  // After each step; writes if it is time, or `now`.
  Expected<void> Keep(const train::TrainingState& state, bool now);
  // The training is over and its adapter written: nothing is left to go on from.
  void End();

  // The adapter could not be written: keeps the last state instead, if that can be.
  Error KeepLast(const Error& error);
  // The training ended by this error.
  Error WithAdvice(const Error& error) const;

 private:
  Expected<void> Write(const train::TrainingState& state);
  Expected<train::TrainingIdentity> Identity();

  const LocalTraining& training_;
  const std::vector<corpus::Example>& examples_;
  const int first_, last_;
  const train::Adapter& initial_;
  const std::filesystem::path path_;
  std::future<Expected<std::string>> digesting_;
  std::optional<train::TrainingIdentity> identity_;
  std::optional<int> steps_kept_;  // Of the newest one.
  Stopwatch since_kept_;
  std::optional<train::TrainingState> last_state_;  // After the last step.
};

}  // namespace dashf::cli
