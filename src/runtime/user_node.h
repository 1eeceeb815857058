// The mobile user's process: trains layers 1..k on its own data, sends data and adapters to its
// server, takes the rest back, checks and evaluates the whole and writes it as a PEFT adapter.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "corpus/samples.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

// Told of each of the user's files what was taken of it.
using OnData = std::function<void(const std::string& path, const corpus::DataReport& report)>;

// Returns when its part of the round is over. kIdentity before any call if a certificate is
// refused; kRoundFailed if its part failed, with the reason.
Expected<void> RunUser(const NodeConfig& config, const OnData& on_data);

}  // namespace dashf::runtime
