// dashf.node/3: what one node is told before it starts, as one JSON file: who it is, where its
// certificate lies, whom to reach and what it owns; the coordinator's says how the fleet trains.
// `dashf run` writes one per node; `dashf kit` makes those of a fleet over several machines.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "fleet/state.h"
#include "runtime/identity.h"
#include "runtime/node.h"
#include "runtime/telemetry.h"
#include "runtime/training_settings.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

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

// The page that a coordinator serves of its fleet, and its metrics (live/).
struct LiveKit {
  std::string listen;        // Empty: there is none. "127.0.0.1:0": any free port of this machine.
  std::string address_path;  // Where its URL is written; may be empty.
  std::string token_path;    // What a reader must know; needed where `listen` is no loopback.
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
  fleet::Policy policy;     // How rounds begin, whom they wait for.
  double farewell_s = 0.0;  // How long it stays, its fleet over, for those who have not heard so.
  std::string log_path;     // Of its events; empty: it keeps none, and a signal ends the round.
  double machine_flop_per_s =
      0.0;                  // Of the machine that the nodes share, as the profile states it.
  double time_scale = 0.0;  // Seconds that one of the plan's takes (emulation.h); 0: nodes go as
                            // fast as they can.
  std::map<std::string, double> slowdown;  // Of devices that are emulated (emulation.h).
  bool learn = false;  // Plans count on how long nodes have taken (learnt_factors.h).
  LiveKit live;
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
  std::string fleet;          // Which it is, as the coordinator has answered; no key of the file.
  TrainingSettings training;  // The coordinator's file has them; others ask it (settings_call.h).
  UserKit user;               // Only the one of the node's role means anything.
  ServerKit server;
  CoordinatorKit coordinator_kit;

  int Threads() const;  // As `threads` says.
};

std::string WriteNodeConfig(const NodeConfig& config);
// Strict. kBadInput if the file is for another role or an address cannot work. Relative paths are
// taken from the file's own folder.
Expected<NodeConfig> ParseNodeConfig(const std::string& name, std::string_view bytes, Role role);
Expected<NodeConfig> ReadNodeConfig(const std::string& path, Role role);

}  // namespace dashf::runtime
