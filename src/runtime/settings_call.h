// A node's first question: how the fleet trains. Asked until the coordinator answers, however long
// it is away.
#pragma once

#include <optional>

#include "base/error.h"
#include "dashf.pb.h"
#include "runtime/live_credentials.h"
#include "runtime/node_config.h"
#include "runtime/telemetry.h"

namespace dashf::runtime {

struct SettingsAnswer {  // One of the three.
  std::optional<TrainingSettings> training;
  std::optional<v1::Leave> leave;  // The fleet is over.
  std::optional<int> signal;       // SIGINT, SIGTERM or SIGHUP came before an answer.
};

// Blocks. The signals must be blocked in the calling thread (StopSignals). kIdentity if a
// certificate is refused; kBadInput if the coordinator turns the node away, or if its settings are
// none of this version's.
Expected<SettingsAnswer> AskForSettings(const NodeConfig& config,
                                        const LiveCredentials& credentials,
                                        const ProgressLine& on_line);

void SayFleetEnded(const v1::Leave& leave, const ProgressLine& on_line);
// What a node ends with that was there until its fleet was over: 0, after a line that says so, or
// kRoundFailed for a user whose last part failed.
Expected<int> EndOfFleet(const NodeId& node, const v1::Leave& leave, const ProgressLine& on_line);

}  // namespace dashf::runtime
