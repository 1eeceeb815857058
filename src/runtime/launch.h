// A fleet on one machine: certificates, a configuration per node, and coordinator, servers and
// users as child processes of this one, looked after until the round has ended.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <functional>

#include "base/error.h"
#include "round/round_record.h"
#include "runtime/coordinator.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

struct UserFiles {
  std::string train, test;
};

struct Launch {
  std::filesystem::path folder;  // The run's; adapters/, telemetry.jsonl and round.json go there.
  std::string program;           // The binary that has the node verbs.
  Scenario scenario;
  std::vector<UserFiles> data;      // One per user, in the scenario's order.
  std::vector<std::string> labels;  // Of a choice task; empty: none.
  std::string model_folder;
  TrainingSettings training;
  std::string method = "prices";
  std::uint64_t plan_seed = 1;
  double handover_penalty = 0.0;  // As CoordinatorKit's.
  bool work_conserving = true;    // As ServerKit's.
  double machine_flop_per_s = 0.0;
  double time_scale = 0.0;                 // As CoordinatorKit's,
  std::map<std::string, double> slowdown;  // and this,
  bool learn = false;                      // and this.
  int turns = 1;                           // Phases that may compute at the same time: cores.
  std::uint32_t rounds = 1;
  std::function<void(const std::string& url)> on_live_page = {};  // Once it is served.
  double registration_s = 120.0;              // How long the first round waits for everybody.
  std::vector<std::string> environment = {};  // For the children: "NAME=value".
};

struct LaunchResult {
  RoundRecord record;         // Of the last round.
  std::optional<int> signal;  // SIGINT or SIGTERM came, and the round was ended for it.
};

// Returns once every child is gone: the record, also of a failed round, or an error if the round
// left none. Private keys live in a folder of the run's, 0700, that is removed at the end.
Expected<LaunchResult> CarryOut(const Launch& launch, const ProgressLine& progress);

}  // namespace dashf::runtime
