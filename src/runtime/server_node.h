// The edge server's process: one frozen base model, many users' adapters. Takes a user's data and
// adapters of layers 1..k, trains layers k+1..L on them and hands those back.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

// Told what happens, a line at a time, from any thread.
using OnLine = std::function<void(const std::string& line)>;

// Serves until the fleet is over: 0; or a signal ends it: 128 + its number. kIdentity if a
// certificate is refused, kBadInput if the coordinator turns it away.
Expected<int> RunServer(const NodeConfig& config, const OnLine& on_line);

}  // namespace dashf::runtime
