#include "runtime/fleet_view.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "base/printable.h"
#include "runtime/taking_part.h"

namespace dashf::runtime {
namespace {

using Json = nlohmann::ordered_json;
using fleet::Member;
using fleet::Presence;
using fleet::Round;
using fleet::Task;

constexpr char kHadNoPart[] = "had no part: ";  // As fleet_record.cc writes it.

Json Seconds(fleet::Millis at) {
  return at == 0 ? Json() : Json(1e-3 * static_cast<double>(at));
}

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json OrNull(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

std::string_view StateOf(const Member& member) {
  if (member.excluded) return "excluded";
  if (!member.refused.empty()) return "turned away";
  return member.drained ? "drained" : Name(member.presence);
}

Json CountsOf(const std::map<std::string, Member>& members) {
  std::map<std::string_view, int> counts;
  for (const auto& [id, member] : members) ++counts[StateOf(member)];
  Json json = {{"known", members.size()}};
  for (const char* state :
       {"here", "away", "gone", "never seen", "drained", "excluded", "turned away"}) {
    json[state] = counts[state];
  }
  return json;
}

std::string_view PhaseOf(const Task& task) {
  if (task.state == Task::State::kPending) {
    return task.due > 0 ? "waiting for a server" : "waiting for a plan";
  }
  return task.state == Task::State::kRunning ? Key(task.phase) : "";
}

Json PartsCounted(const Round& round) {
  std::map<std::string_view, int> counts;
  for (const auto& [id, task] : round.tasks) {
    const bool done = task.state == Task::State::kDone;
    ++counts[!task.Ended() ? PhaseOf(task) : done ? "done" : "failed"];
  }
  Json json = {{"done", counts["done"]}, {"failed", counts["failed"]}};
  for (const char* phase : {"waiting for a plan",
                            "waiting for a server",
                            "local",
                            "upload",
                            "server",
                            "download",
                            "verify"}) {
    json[phase] = counts[phase];
  }
  json["left_out"] = round.absent.size();
  return json;
}

// Whom the round cannot do without, or would rather not.
Json WaitedFor(const fleet::State& state, const std::string& phase) {
  std::vector<std::string> names;
  std::size_t count = 0;
  const auto add = [&](const char* role, const std::string& id) {
    if (++count <= kNamesMax) names.push_back(fmt::format("{}{}", role, id));
  };
  if (phase == "gathering") {
    for (const auto* members : {&state.servers, &state.users}) {
      for (const auto& [id, member] : *members) {
        const bool comes =
            member.presence == Presence::kNever || member.presence == Presence::kAway;
        if (!comes || !member.refused.empty() || member.drained) continue;
        add(members == &state.users ? "user/" : "server/", id);
      }
    }
  }
  if (phase == "running") {
    for (const auto& [id, task] : state.round->tasks) {
      if (!task.Ended()) add("user/", id);
    }
  }
  return {{"nodes", count}, {"names", names}};
}

double Sum(const PhaseSeconds& seconds) {
  return seconds.local.value_or(0.0) + seconds.upload.value_or(0.0) + seconds.server.value_or(0.0) +
         seconds.download.value_or(0.0);
}

std::optional<double> SumIfAny(const PhaseSeconds& seconds) {
  if (!seconds.local && !seconds.upload && !seconds.server && !seconds.download) {
    return std::nullopt;
  }
  return Sum(seconds);
}

std::optional<double> MeasuredOf(const Task& task) {
  std::optional<double> sum;
  for (const auto& [phase, measured] : task.measured) {
    if (phase != Key(fleet::Phase::kVerify) && measured.elapsed_s) {
      sum = sum.value_or(0.0) + *measured.elapsed_s;
    }
  }
  return sum;
}

NodeRow RowOf(const NodeId& node, const Member& member, const SignOf& sign_of) {
  NodeRow row;
  row.node = node;
  row.state = StateOf(member);
  row.reason = Clipped(member.refused, kReasonBytesMax);
  row.since = member.since;
  row.sign = sign_of(node);
  row.factors = member.factors;
  if (node.role == Role::kServer) row.report = member.report;
  return row;
}

void AddTask(const Round& round, NodeRow* row) {
  const auto found = round.tasks.find(row->node.id);
  if (found == round.tasks.end() || found->second.Ended()) return;
  row->round = round.number;
  row->attempt = found->second.attempt;
  row->phase = PhaseOf(found->second);
  row->server = found->second.server;
}

// Counted once for all servers of a page.
void AddUsers(const fleet::State& state, std::vector<NodeRow>* rows) {
  std::map<std::string_view, int> users;
  for (const auto& [id, task] : state.round->tasks) {
    const bool needs = task.state == Task::State::kRunning && NeedsServer(task, state.layers);
    if (needs) ++users[task.server];
  }
  for (NodeRow& row : *rows) {
    if (row.node.role == Role::kServer) row.users = users[row.node.id];
  }
}

}  // namespace

PartRow PartOf(const std::string& user, const Task& task) {
  PartRow row;
  row.user = user;
  row.state = task.state == Task::State::kPending   ? "waiting"
              : task.state == Task::State::kRunning ? "running"
              : task.state == Task::State::kDone    ? "done"
                                                    : "failed";
  row.reason = Clipped(task.failure, kReasonBytesMax);
  row.server = task.server;
  row.phase = PhaseOf(task);
  row.attempt = task.attempt;
  if (task.attempt > 0) row.predicted_s = SumIfAny(task.predicted_s);
  row.measured_s = MeasuredOf(task);
  return row;
}

Json ToJson(const fleet::RoundSummary& summary) {
  return {{"round", summary.number},
          {"state", "ended"},
          {"result", summary.failed > 0 || summary.done == 0 ? "failed" : "done"},
          {"began_s", Seconds(summary.began)},
          {"ended_s", Seconds(summary.ended)},
          {"users_done", summary.done},
          {"users_failed", summary.failed},
          {"users_left_out", summary.absent},
          {"predicted_s", OrNull(summary.predicted_s)},
          {"measured_s", OrNull(summary.measured_s)}};
}

Json StatusOf(const fleet::State& state) {
  const bool runs = state.round && state.round->stage != Round::Stage::kEnded;
  const std::string phase = runs         ? std::string(Name(state.round->stage))
                            : state.over ? "over"
                                         : "idle";
  const fleet::Policy& policy = state.policy;
  Json json = {{"phase", phase},
               {"since_s", state.round ? Seconds(state.round->since) : Json()},
               {"round", runs ? Json(state.round->number) : Json()},
               {"round_began_s", runs ? Seconds(state.round->began) : Json()},
               {"planning", runs && state.round->planning},
               {"ends", state.over ? Json(state.over_reason) : Json()},
               {"round_requested", state.requested},
               {"next_round_s", Json()},
               {"on_request", policy.on_request},
               {"rounds_begun", state.rounds_begun},
               {"rounds_max", policy.rounds_max}};
  if (phase == "idle" && !policy.on_request) json["next_round_s"] = Seconds(state.next_round_at);
  json["quorum"] = {{"users_min", policy.users_min}, {"servers_min", policy.servers_min}};
  json["users"] = CountsOf(state.users);
  json["servers"] = CountsOf(state.servers);
  json["waited_for"] = WaitedFor(state, phase);
  json["parts"] = runs ? PartsCounted(*state.round) : Json();
  json["last_round"] = state.history.empty() ? Json() : ToJson(state.history.back());
  return json;
}

NodePage NodesFrom(const fleet::State& state,
                   const NodeId& from,
                   std::size_t rows_max,
                   const SignOf& sign_of) {
  NodePage page;
  const bool runs = state.round && state.round->stage != Round::Stage::kEnded;
  const auto take = [&](const std::map<std::string, Member>& members, Role role) {
    auto at = from.role == role ? members.lower_bound(from.id) : members.begin();
    for (; at != members.end(); ++at) {
      const NodeId node{role, at->first};
      if (page.rows.size() == rows_max) {
        page.next = node;
        return;
      }
      page.rows.push_back(RowOf(node, at->second, sign_of));
      if (runs && role == Role::kUser) AddTask(*state.round, &page.rows.back());
    }
  };
  if (from.role == Role::kServer) take(state.servers, Role::kServer);
  if (runs && from.role == Role::kServer) AddUsers(state, &page.rows);
  if (!page.next) take(state.users, Role::kUser);
  return page;
}

Json ToJson(const NodeRow& row) {
  const bool server = row.node.role == Role::kServer;
  Json json = {{"node", Name(row.node)},
               {"state", row.state},
               {"reason", OrNull(row.reason)},
               {"since_s", Seconds(row.since)},
               {"heard_s", Seconds(row.sign.heard_at)},
               {"process", OrNull(row.sign.process)},
               {"factors", dashf::ToJson(row.factors)}};
  if (server) {
    json["addresses"] = row.report.empty() ? std::vector<std::string>() : AddressesIn(row.report);
    json["users"] = row.users;
  } else {
    json["task"] = row.round == 0 ? Json()
                                  : Json{{"round", row.round},
                                         {"attempt", row.attempt},
                                         {"phase", row.phase},
                                         {"server", OrNull(row.server)}};
  }
  return json;
}

PartPage PartsFrom(const fleet::State& state, const std::string& from, std::size_t rows_max) {
  PartPage page;
  const Round& round = *state.round;
  for (auto at = state.users.lower_bound(from); at != state.users.end(); ++at) {
    if (page.rows.size() == rows_max) {
      page.next = at->first;
      return page;
    }
    if (const auto task = round.tasks.find(at->first); task != round.tasks.end()) {
      page.rows.push_back(PartOf(at->first, task->second));
    } else if (const auto absent = round.absent.find(at->first); absent != round.absent.end()) {
      PartRow& row = page.rows.emplace_back();
      row.user = at->first;
      row.state = "left out";
      row.reason = Clipped(absent->second, kReasonBytesMax);
    }
  }
  return page;
}

std::vector<PartRow> PartsOf(const RoundRecord& record) {
  std::vector<PartRow> rows;
  for (const UserRecord& user : record.users) {
    PartRow& row = rows.emplace_back();
    row.user = user.id;
    row.state = user.failure ? "failed" : "done";
    row.reason = user.failure.value_or("");
    if (row.reason.starts_with(kHadNoPart)) {
      row.state = "left out";
      row.reason.erase(0, sizeof kHadNoPart - 1);
    }
    row.reason = Clipped(row.reason, kReasonBytesMax);
    row.server = user.server;
    row.predicted_s = SumIfAny(user.predicted_s);
    row.measured_s = SumIfAny(user.measured_s);
    row.measured_at_planned_s = SumIfAny(user.measured_at_planned_s);
  }
  return rows;
}

Json ToJson(const PartRow& row) {
  return {{"user", row.user},
          {"state", row.state},
          {"reason", OrNull(row.reason)},
          {"server", OrNull(row.server)},
          {"phase", OrNull(row.phase)},
          {"attempt", row.attempt == 0 ? Json() : Json(row.attempt)},
          {"predicted_s", OrNull(row.predicted_s)},
          {"measured_s", OrNull(row.measured_s)},
          {"measured_at_planned_s", OrNull(row.measured_at_planned_s)}};
}

}  // namespace dashf::runtime
