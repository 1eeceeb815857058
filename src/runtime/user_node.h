// The mobile user's process: trains layers 1..k on its own data, sends data and adapters to its
// server, takes the rest back, checks and evaluates the whole and writes it as a PEFT adapter.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "corpus/samples.h"
#include "runtime/log.h"
#include "runtime/node_config.h"
#include "train/compute.h"

namespace dashf::runtime {

// Whom a user's process tells what it does.
struct UserVoice {
  // How it computes, each time that it has been told how to train.
  std::function<void(const llama::Storage&)> on_storage;
  // What was taken of each of its files.
  std::function<void(const std::string& path, const corpus::DataReport& report)> on_data;
  Log log;
};

// Asks the coordinator how to train and takes part in rounds until the fleet is over: 0; or a
// signal ends it: 128 + its number, and its state folder has what it needs to go on. A coordinator
// that comes back with other settings is asked anew, and what was begun with the old ones is given
// up. kIdentity if a certificate is refused, kBadInput if the coordinator turns it away,
// kRoundFailed if its last part failed, with the reason.
Expected<int> RunUser(const NodeConfig& config, const UserVoice& voice);

}  // namespace dashf::runtime
