// The edge server's process: one frozen base model, many users' adapters. Takes a user's data and
// adapters of layers 1..k, trains layers k+1..L on them and hands those back.
#pragma once

#include "base/error.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

// Returns when the round is over. kIdentity before any call if a certificate is refused;
// kRoundFailed if the coordinator is lost.
Expected<void> RunServer(const NodeConfig& config);

}  // namespace dashf::runtime
