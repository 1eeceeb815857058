// The server's phase of several users at once: the rows of all of them pass through the frozen
// weights together, each user's through its own adapter and from its own split on.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "corpus/example.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/phases.h"

namespace dashf::train {

struct BatchedUser {
  const std::vector<corpus::Example>* examples = nullptr;
  int k = 0;  // Layers k+1..L are trained; 0 <= k <= L.
  TrainOptions options;
  Adapter* adapter = nullptr;
};

// Called once per user, as soon as its phase has ended, with what TrainServerPhase() would return:
// the same batches in the same order, gradients and losses within rounding. An error leaves the
// user's adapter unchanged and ends this user's phase alone, as on_step does; only memory that
// cannot be had for the common pass ends those of all who are left. cpu_s is the time of the user's
// own hidden states and, of each common step, a share by FLOP (flop.h); elapsed_s is what the user
// waited: from the beginning of the batch to the end of its phase.
using UserEnded = std::function<void(std::size_t user, const Expected<PhaseReport>& report)>;

// All adapters must be of the first user's configuration; kBadInput to whose is not.
void TrainServerBatch(const Model& model,
                      std::span<const BatchedUser> users,
                      const UserEnded& ended);

}  // namespace dashf::train
