// What a coordinator shows of its fleet to whoever looks on (live/), while it runs. It is copied on
// the coordinator's thread a page of nodes at a time, and is nobody's to change afterwards.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fleet/state.h"
#include "round/round_record.h"
#include "runtime/fleet_view.h"
#include "runtime/recent_lines.h"
#include "scenario/scenario.h"

namespace dashf::runtime {

// A user's part of the round that runs, or of the one that has ended last.
struct WatchedPart {
  PartRow row;
  fleet::Millis since = 0;  // When its phase or wait began.
  UserRecord record;        // Times and losses, as far as they are.
};
struct WatchedNode {
  NodeRow row;
  Position position_m;
  std::optional<WatchedPart> part;  // A user's.
};

struct FleetSnapshot {
  nlohmann::ordered_json status;   // As `dashf ctl status` has it, without the coordinator's.
  std::vector<WatchedNode> nodes;  // Servers first, then users; by id.
  std::uint32_t round = 0;         // Whose parts these are; 0: none has begun.
  std::string stage;               // Of that round.
  double time_scale = 0.0;         // Of an emulated fleet; 0: it is not.
  std::size_t sessions = 0;        // Nodes that are connected.
  std::size_t jobs_waiting = 0;    // For the coordinator's thread.
};

struct WatchBeginning {
  std::string name;                           // Of the scenario.
  std::shared_ptr<const RecentLines> events;  // Their lines, as they are and as they come.
  std::vector<fleet::RoundSummary> rounds;    // That have ended.
};

// Called on the coordinator's thread; each returns at once.
struct FleetWatch {
  std::function<void(WatchBeginning)> begin;  // Before all others.
  std::function<void(std::shared_ptr<const FleetSnapshot>)> show;
  std::function<void(const fleet::RoundSummary&)> round_ended;
};

}  // namespace dashf::runtime
