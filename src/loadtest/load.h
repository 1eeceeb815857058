// One coordinator process under a light fleet's load, measured from outside.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace dashf::loadtest {

struct Load {
  int users = 0, servers = 0;
  std::uint32_t rounds = 3;
  std::string method = "prices";  // The planning method.
  std::string program;            // The binary that has the verb `coordinator`.
  std::filesystem::path folder;   // Where the coordinator's files go; made, and left.
  double time_limit_s = 600.0;    // For registering, and for each round.
  std::uint64_t seed = 1;
};

// Processor time and memory are the coordinator's alone. Medians of rounds.
struct LoadFigures {
  double register_s = 0.0;         // From the first connection until all nodes are registered.
  double register_cpu_ms = 0.0;    // Per node.
  double plan_s = 0.0;             // From there, or the last round's end, to the last assignment.
  double plan_cpu_s = 0.0;         // Of the planner alone.
  double round_s = 0.0;            // From one round's end to the next one's, planning included.
  double round_cpu_ms = 0.0;       // Per user and round: all but planning.
  std::uint64_t memory_bytes = 0;  // Most that was resident.
  std::size_t descriptors = 0;     // Open when all are registered.
  double log_bytes = 0.0;          // Of the event log, per user and round.
  double restart_s = 0.0;          // From its start to listening, with the log of all rounds.
  std::size_t broken_sessions = 0;
};

// kRoundFailed if the coordinator ends early, sends a node away or the time is up; kIo.
Expected<LoadFigures> Measure(const Load& load, const std::function<void(const std::string&)>& say);

}  // namespace dashf::loadtest
