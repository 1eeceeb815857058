// The edge server's process: one frozen base model, many users' adapters. Takes a user's data and
// adapters of layers 1..k, trains layers k+1..L on them and hands those back.
#pragma once

#include "base/error.h"
#include "runtime/node_config.h"
#include "runtime/telemetry.h"

namespace dashf::runtime {

// Serves until the fleet is over: 0; or a signal ends it: 128 + its number. kIdentity if a
// certificate is refused, kBadInput if the coordinator turns it away.
Expected<int> RunServer(const NodeConfig& config, const ProgressLine& on_line);

}  // namespace dashf::runtime
