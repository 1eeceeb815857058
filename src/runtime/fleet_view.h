// What operators see of a fleet. Reading must not hold its coordinator up: what is copied on the
// coordinator's thread is a page of rows, and JSON is made of it elsewhere.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fleet/state.h"
#include "round/round_record.h"
#include "runtime/node.h"

namespace dashf::runtime {

// Of a node's process, what is no event.
struct NodeSign {
  std::string process;         // "process 4711 on edge1"; empty: unknown since the last restart.
  fleet::Millis heard_at = 0;  // Its last sign of life; 0: none.
};
using SignOf = std::function<NodeSign(const NodeId&)>;

inline constexpr std::size_t kNamesMax = 20;         // In a list that is for people.
inline constexpr std::size_t kReasonBytesMax = 512;  // Of a row.

// Of the whole fleet, without the coordinator's own. In O(nodes).
nlohmann::ordered_json StatusOf(const fleet::State& state);
nlohmann::ordered_json ToJson(const fleet::RoundSummary& summary);

struct NodeRow {
  NodeId node;
  std::string state;  // "here", "away", "gone", "never seen", "excluded", "turned away", "drained".
  std::string reason;
  fleet::Millis since = 0;
  NodeSign sign;
  std::string report;   // A server's: what it has said of itself.
  int users = 0;        // A server's: whose parts need it now.
  NodeFactors factors;  // How much longer it takes than it says.
  // A user's part of the round that runs.
  std::uint32_t round = 0;  // 0: none.
  int attempt = 0;
  std::string phase, server;
};
struct NodePage {
  std::vector<NodeRow> rows;
  std::optional<NodeId> next;  // Where the next page begins, if there is one.
};
// At most `rows_max` rows from `from` on, servers first. The first page begins at ServerNode("").
NodePage NodesFrom(const fleet::State& state,
                   const NodeId& from,
                   std::size_t rows_max,
                   const SignOf& sign_of);
nlohmann::ordered_json ToJson(const NodeRow& row);

struct PartRow {  // One user's part of a round.
  std::string user;
  std::string state;  // "waiting", "running", "done", "failed", "left out".
  std::string reason, server, phase;
  int attempt = 0;  // 0: unknown, or none.
  // All phases up to the download: the plan's, as measured, and the measured work and bytes at the
  // plan's clocks and rates.
  std::optional<double> predicted_s, measured_s, measured_at_planned_s;
};
PartRow PartOf(const std::string& user, const fleet::Task& task);
struct PartPage {
  std::vector<PartRow> rows;
  std::optional<std::string> next;
};
// Of the round that runs, at most `rows_max` users from `from` on.
PartPage PartsFrom(const fleet::State& state, const std::string& from, std::size_t rows_max);
std::vector<PartRow> PartsOf(const RoundRecord& record);
nlohmann::ordered_json ToJson(const PartRow& row);

}  // namespace dashf::runtime
