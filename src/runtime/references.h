// What the split result is held against: the same number of passes over the same data, with every
// layer trained in one place - on each user's own data (all-server), and on everybody's
// (centralised).
#pragma once

#include <functional>
#include <vector>

#include "base/error.h"
#include "round/round_record.h"
#include "runtime/coordinator.h"
#include "runtime/learning.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

struct ReferenceUser {
  std::string id;
  std::vector<corpus::Sample> train, test;
};

struct ReferenceOptions {
  bool all_server = true;
  bool centralised = true;
  int threads = 1;                  // Trainings at the same time, >= 1.
  std::function<bool()> cancelled;  // Asked after every step, from several threads.
};

// An error if a training fails; empty lists for what is not asked for or was cancelled.
Expected<References> ComputeReferences(const BaseModel& base,
                                       const std::vector<ReferenceUser>& users,
                                       const std::vector<std::string>& labels,
                                       const TrainingSettings& training,
                                       const ReferenceOptions& options,
                                       const ProgressLine& progress);

}  // namespace dashf::runtime
