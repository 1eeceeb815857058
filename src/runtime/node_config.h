// dashf.node/2: what one node is told before it starts, as one JSON file: who it is, where its
// certificate lies, whom to reach, what it owns and how it is to train. `dashf run` writes one per
// node; `dashf kit` makes those of a fleet over several machines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "fleet/state.h"
#include "runtime/identity.h"
#include "runtime/node.h"
#include "runtime/telemetry.h"
#include "scenario/scenario.h"
#include "train/adapter.h"
#include "train/phases.h"
#include "train/storage_choice.h"

namespace dashf::runtime {

// The same for every node of a round.
struct TrainingSettings {
  train::AdapterConfig adapter;
  train::StorageChoice storage;  // Of the base, on each node.
  train::UserObjective objective = train::UserObjective::kEarlyExit;
  int epochs_user = 3;    // Passes of the user phase over the training set, >= 1.
  int epochs_server = 3;  // Of the server phase, >= 1.
  int epochs_joint = 0;   // Then of all layers, at the server, >= 0.
  int batch_size = 8;
  int accumulate = 1;  // Batches per step.
  double learning_rate = 3e-3;
  train::LearningRateSchedule schedule;  // Of each phase.
  double weight_decay = 0.0;
  int tokens_max = 256;  // Longer examples are shortened.
  std::uint64_t seed = 1;

  // The first layer that a server sends back of those that it trained.
  int FirstReturned(int k) const { return epochs_joint > 0 ? 1 : k + 1; }

  // As the engine wants them, for a phase of so many epochs; each round has batches of its own.
  train::TrainOptions OptionsFor(int epochs, std::uint32_t round = 1) const {
    train::TrainOptions options;
    options.epochs = epochs;
    options.batch_size = batch_size;
    options.accumulate = accumulate;
    options.learning_rate = learning_rate;
    options.schedule = schedule;
    options.weight_decay = weight_decay;
    options.seed = round == 1 ? seed : Rng(seed).Stream("round").Stream(round).Next();
    return options;
  }
};

struct UserKit {
  User device;                        // What it can do; position and profile index are unused.
  SplitProfile profile;               // For its own data set.
  std::string train_path, test_path;  // What corpus/samples.h reads.
  std::vector<std::string> labels;    // Of a choice task; empty: none.
  std::string adapter_folder;         // Where its best PEFT adapter is written.
  std::string state_folder;           // What it remembers of its work, and each round's adapter.
};

struct ServerKit {
  Server device;
  std::string listen;                  // "127.0.0.1:0": any free port.
  std::vector<std::string> advertise;  // What users are told, in this order; empty: `listen`.
  // Where users' uploads and results lie until the user is dropped; the server's own. Empty: a
  // temporary folder, of which a server that starts again finds nothing.
  std::string spool_folder = {};
  std::uint64_t spool_bytes_max = std::uint64_t{16} << 30;  // Of all users together.
  // What one user does not need of the clock the others get; else each has its planned share of
  // clock_hz_max and no more (clock_shares.h).
  bool work_conserving = true;
  std::uint64_t memory_bytes_max = 0;  // Of base and training together; 0: most of the machine's.
};

struct CoordinatorKit {
  std::string listen;
  std::vector<std::string> advertise;  // What kits tell the other nodes; empty: `listen`.
  std::string address_path;            // The bound address is written here.
  std::string scenario_path;           // What is not the nodes' to say: gains, noise, objective.
  std::string out_folder;              // scenario.json, plan.json and round.json are written here.
  std::string method;                  // The planning method's name.
  std::uint64_t seed = 1;              // Of the plan.
  // Score units, >= 0: what the plan pays for each user that changes its server (docs/planner.md).
  double handover_penalty = 0.0;
  fleet::Policy policy;  // How rounds begin, whom they wait for.
  std::string log_path;  // Of its events; empty: it keeps none, and a signal ends the round.
  double machine_flop_per_s =
      0.0;  // Of the machine that the nodes share, as the profile states it.
};

struct NodeConfig {
  NodeId node;
  std::string folder;                    // The node's own, while it runs (folder_lock.h).
  std::vector<std::string> coordinator;  // Where to try, in this order; none for itself.
  CredentialPaths tls;
  std::string telemetry_path;  // May be empty.
  TelemetryLimits telemetry_limits;
  std::string gate_folder;  // Empty: the machine is not shared.
  int gate_turns = 1;
  double checkpoint_interval_s = 60.0;  // Of a phase of training; 0: after every step.
  int threads = 0;  // Of a computation; 0: all cores, or one if the machine is shared.
  std::string model_folder;
  TrainingSettings training;
  UserKit user;  // Only the one of the node's role means anything.
  ServerKit server;
  CoordinatorKit coordinator_kit;

  int Threads() const;  // As `threads` says.
};

std::string WriteTrainingSettings(const TrainingSettings& training);  // As JSON, in one line.
std::string WriteNodeConfig(const NodeConfig& config);
// Strict. kBadInput if the file is for another role or an address cannot work. Relative paths are
// taken from the file's own folder.
Expected<NodeConfig> ParseNodeConfig(const std::string& name, std::string_view bytes, Role role);
Expected<NodeConfig> ReadNodeConfig(const std::string& path, Role role);

}  // namespace dashf::runtime
