// What an edge server makes of its users' uploads.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/learning.h"
#include "runtime/node_config.h"
#include "runtime/telemetry.h"
#include "runtime/user_store.h"
#include "train/phases.h"

namespace dashf::runtime {

class ServerTraining {
 public:
  // How a user's phase has ended; what it trained is in the store by then.
  using Ended = std::function<void(const Attempt&, const Expected<train::PhaseReport>&)>;

  // All arguments must outlive it. Once `stopped`, training ends where it is.
  ServerTraining(const NodeConfig& config,
                 const BaseModel& base,
                 const Telemetry& telemetry,
                 UserStore* store,
                 const std::atomic<bool>* stopped)
      : config_(config), base_(base), telemetry_(telemetry), store_(*store), stopped_(*stopped) {}

  // Trains layers k+1..L of all these users together (train/server_batch.h), then, with joint
  // epochs, all layers of those who are left, in one turn at the processor. Calls `ended` once for
  // each user, as soon as its phase has ended; what is wrong with one user's upload, or one that is
  // dropped meanwhile, ends this user's phase alone.
  void Train(const std::vector<TrainingJob>& jobs, const Ended& ended);

 private:
  struct Learner;
  Expected<Learner> Prepare(const TrainingJob& job) const;
  // Calls `trained` for every learner that made all epochs, `ended` for the others.
  void TrainTogether(const std::vector<Learner*>& learners,
                     bool jointly,
                     const std::function<void(Learner&)>& trained,
                     const Ended& ended);

  const NodeConfig& config_;
  const BaseModel& base_;
  const Telemetry& telemetry_;
  UserStore& store_;
  const std::atomic<bool>& stopped_;
};

}  // namespace dashf::runtime
