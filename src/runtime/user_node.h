// The mobile user's process: trains layers 1..k on its own data, sends data and adapters to its
// server, takes the rest back, checks and evaluates the whole and writes it as a PEFT adapter.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "corpus/samples.h"
#include "runtime/node_config.h"
#include "runtime/telemetry.h"

namespace dashf::runtime {

// Told of each of the user's files what was taken of it.
using OnData = std::function<void(const std::string& path, const corpus::DataReport& report)>;

// Takes part in rounds until the fleet is over: 0; or a signal ends it: 128 + its number, and its
// state folder has what it needs to go on. kIdentity if a certificate is refused, kBadInput if the
// coordinator turns it away, kRoundFailed if its last part failed, with the reason.
Expected<int> RunUser(const NodeConfig& config, const OnData& on_data, const ProgressLine& on_line);

}  // namespace dashf::runtime
