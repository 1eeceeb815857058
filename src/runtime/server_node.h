// The edge server's process: one frozen base model, many users' adapters. Takes a user's data and
// adapters of layers 1..k, trains layers k+1..L on them and hands those back.
#pragma once

#include <functional>

#include "base/error.h"
#include "runtime/log.h"
#include "runtime/node_config.h"
#include "train/compute.h"

namespace dashf::runtime {

struct ServerVoice {  // Whom its process tells what it does, as of a user's.
  std::function<void(const llama::Storage&)> on_storage;
  Log log;
};

// Asks the coordinator how to train and serves until the fleet is over: 0; or a signal ends it: 128
// + its number. Settings that change are taken as by a user. kIdentity if a certificate is refused,
// kBadInput if the coordinator turns it away.
Expected<int> RunServer(const NodeConfig& config, const ServerVoice& voice);

}  // namespace dashf::runtime
