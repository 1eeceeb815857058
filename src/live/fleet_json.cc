#include "live/fleet_json.h"

#include <fmt/format.h>

#include <optional>

namespace dashf::live {
namespace {

using runtime::NodeId;
using runtime::Role;

constexpr double kSilentS = 5.0;  // A node gives a sign of life every 3 s.
constexpr std::size_t kSilentMax = 256;

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json OrNull(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json Seconds(const PhaseSeconds& seconds) {
  return {OrNull(seconds.local),
          OrNull(seconds.upload),
          OrNull(seconds.server),
          OrNull(seconds.download)};
}

}  // namespace

std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json PartJson(const runtime::PartRow& row, const UserRecord& record) {
  return {{"user", row.user},
          {"state", row.state},
          {"reason", OrNull(row.reason)},
          {"server", OrNull(row.server)},
          {"k", record.local_layers},
          {"predicted_s", Seconds(record.predicted_s)},
          {"measured_s", Seconds(record.measured_s)},
          {"at_planned_s", Seconds(record.measured_at_planned_s)},
          {"loss_before", OrNull(record.before.loss)},
          {"loss_after", OrNull(record.after.loss)},
          {"exact_match_before", OrNull(record.before.exact_match)},
          {"exact_match_after", OrNull(record.after.exact_match)}};
}

Json PartJson(const runtime::WatchedPart& part) {
  Json json = PartJson(part.row, part.record);
  json["phase"] = OrNull(part.row.phase);
  json["attempt"] = part.row.attempt;
  json["since_s"] = 1e-3 * static_cast<double>(part.since);
  return json;
}

Json NodeJson(const runtime::WatchedNode& node) {
  Json json = ToJson(node.row);
  json.erase("heard_s");
  json.erase("task");
  json["x_m"] = node.position_m.x_m;
  json["y_m"] = node.position_m.y_m;
  if (node.row.node.role == Role::kUser) {
    json["part"] = node.part ? PartJson(*node.part) : Json();
  }
  return json;
}

Json HeadJson(const runtime::FleetSnapshot& snapshot, double now_s) {
  Json silent = Json::object();
  for (const runtime::WatchedNode& node : snapshot.nodes) {
    const double silent_s = now_s - 1e-3 * static_cast<double>(node.row.sign.heard_at);
    if (node.row.state != "here" || node.row.sign.heard_at == 0 || silent_s < kSilentS) continue;
    silent[Name(node.row.node)] = std::round(silent_s);
    if (silent.size() == kSilentMax) break;
  }
  return {{"now_s", now_s},
          {"status", snapshot.status},
          {"round", snapshot.round},
          {"round_stage", snapshot.stage},
          {"time_scale", snapshot.time_scale},
          {"connected", snapshot.sessions},
          {"silent_s", std::move(silent)}};
}

std::vector<std::string> ShownFleet::Take(const runtime::FleetSnapshot& snapshot) {
  std::vector<std::string> changed;
  for (const runtime::WatchedNode& node : snapshot.nodes) {
    std::string text = Text(NodeJson(node));
    std::string& shown = nodes_[node.row.node];
    if (text == shown) continue;
    shown = text;
    changed.push_back(std::move(text));
  }
  return changed;
}

}  // namespace dashf::live
