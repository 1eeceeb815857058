// A fleet as its page reads it (docs/live.md): JSON of what the coordinator shows, and what has
// changed between two times.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "round/round_record.h"
#include "runtime/fleet_watch.h"

namespace dashf::live {

using Json = nlohmann::ordered_json;

std::string Text(const Json& json);  // One line, whatever strings there are.

// A user's part of a round: while it runs, and by its record.
Json PartJson(const runtime::WatchedPart& part);
Json PartJson(const runtime::PartRow& row, const UserRecord& record);

// What is said of a node; its signs of life are not in it, for they would change every 3 s.
Json NodeJson(const runtime::WatchedNode& node);

// All but the nodes. `silent_s`: how long nodes that are here have said nothing, if longer than
// they may without anything being wrong; of `now_s`.
Json HeadJson(const runtime::FleetSnapshot& snapshot, double now_s);

// What was shown last, to tell what has changed.
class ShownFleet {
 public:
  // The nodes whose rows differ from what they were, as JSON texts; and takes them for shown.
  std::vector<std::string> Take(const runtime::FleetSnapshot& snapshot);
  const std::map<runtime::NodeId, std::string>& nodes() const { return nodes_; }

 private:
  std::map<runtime::NodeId, std::string> nodes_;
};

}  // namespace dashf::live
