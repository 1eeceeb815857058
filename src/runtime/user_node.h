// The mobile user's process: trains layers 1..k on its own data, sends data and adapters to its
// server, takes the rest back, checks and evaluates the whole and writes it as a PEFT adapter.
#pragma once

#include "base/error.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

// Returns when its part of the round is over. kIdentity before any call if a certificate is
// refused; kRoundFailed if its part failed, with the reason.
Expected<void> RunUser(const NodeConfig& config);

}  // namespace dashf::runtime
