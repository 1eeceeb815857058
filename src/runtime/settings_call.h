// A node's first question: how the fleet trains. Asked until the coordinator answers, however long
// it is away, and again whenever the answer has changed.
#pragma once

#include <functional>
#include <optional>

#include "base/error.h"
#include "dashf.pb.h"
#include "runtime/live_credentials.h"
#include "runtime/node_config.h"
#include "runtime/telemetry.h"

namespace dashf::runtime {

// One life of a node, as it was told; the exit code, or none if the fleet's settings have changed.
using Life = std::function<Expected<std::optional<int>>(const NodeConfig& as_told)>;

// Asks, and lives; once more each time that the settings have changed. The exit code: that of its
// last life, 0 where the fleet is over, 128 + N if signal N came before an answer. Blocks; SIGINT,
// SIGTERM and SIGHUP must be blocked in the calling thread (StopSignals). kIdentity if a
// certificate is refused; kBadInput if the coordinator turns the node away, or if its settings are
// none of this version's.
Expected<int> LiveAsTold(const NodeConfig& config,
                         const LiveCredentials& credentials,
                         const Log& log,
                         const Life& live);

// What a node ends with that was there until its fleet was over: 0, after a line that says so, or
// kRoundFailed for a user whose last part failed.
Expected<int> EndOfFleet(const NodeId& node, const v1::Leave& leave, const Log& log);

}  // namespace dashf::runtime
