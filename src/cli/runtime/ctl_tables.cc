#include "cli/runtime/ctl_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>
#include <vector>

#include "base/counted.h"
#include "base/printable.h"
#include "kit/fleet_record.h"

namespace dashf::cli {
namespace {

using Json = nlohmann::ordered_json;

const Json& At(const Json& json, const char* key) {
  static const Json kNone;
  if (!json.is_object()) return kNone;
  const auto found = json.find(key);
  return found == json.end() ? kNone : *found;
}

std::string Show(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) {
    std::string text = Printable(value.get_ref<const std::string&>());
    std::replace(text.begin(), text.end(), '\n', ' ');  // A row is a line.
    return text;
  }
  return Printable(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string Show(const Json& json, const char* key) {
  return Show(At(json, key));
}

std::optional<double> NumberAt(const Json& json, const char* key) {
  const Json& value = At(json, key);
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

std::string Span(double seconds) {
  if (seconds < 120.0) return fmt::format("{:.0f} s", std::max(seconds, 0.0));
  if (seconds < 7200.0) return fmt::format("{:.0f} min", seconds / 60.0);
  if (seconds < 172'800.0) return fmt::format("{:.0f} h", seconds / 3600.0);
  return fmt::format("{:.0f} d", seconds / 86'400.0);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// How long ago.
std::string Ago(const Json& json, const char* key) {
  const auto at = NumberAt(json, key);
  return at ? Span(Now() - *at) : "-";
}

std::string Date(const std::optional<double>& at_s) {
  if (!at_s || !(std::abs(*at_s) < 1e11)) return "-";
  return kit::DateText(std::chrono::system_clock::from_time_t(static_cast<std::time_t>(*at_s)));
}

std::string Seconds(const Json& json, const char* key) {
  const auto value = NumberAt(json, key);
  return value ? fmt::format("{:.4g}", *value) : "-";
}

std::string Joined(const Json& list, const char* between) {
  std::vector<std::string> texts;
  if (!list.is_array()) return "";
  for (const Json& one : list) texts.push_back(Show(one));
  return fmt::format("{}", fmt::join(texts, between));
}

// "2 here, 1 away" of those that are not 0.
std::string Counts(const Json& counts) {
  std::string text;
  if (!counts.is_object()) return "-";
  for (const auto& [key, value] : counts.items()) {
    if (key == "known" || !value.is_number() || value == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", Show(value), Printable(key));
  }
  return text.empty() ? "none" : text;
}

// Columns as wide as what stands in them.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void Print() const {
    std::vector<std::size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
      }
      fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
    }
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string PhaseLine(const Json& status) {
  const std::string phase = Show(status, "phase"), since = Ago(status, "since_s");
  if (phase == "over") {
    const Json& why = At(status, "ends");
    return fmt::format("over: {}", why == "" ? "it has had its rounds" : Show(why));
  }
  if (phase != "idle") {
    const bool ends = At(status, "ends").is_string();
    return fmt::format("round {} is {} since {} (it began {} ago){}",
                       Show(status, "round"),
                       phase,
                       since,
                       Ago(status, "round_began_s"),
                       ends ? "; then the fleet is over" : "");
  }
  if (At(status, "on_request") == true) {
    return fmt::format("idle since {}: a round begins when it is asked for (dashf ctl start)",
                       since);
  }
  return fmt::format(
      "idle since {}: the next round begins at {}", since, Date(NumberAt(status, "next_round_s")));
}

}  // namespace

void PrintStatus(const std::string& fleet, const Json& status) {
  const Json& coordinator = At(status, "coordinator");
  fmt::print("fleet {}: {}\n", fleet, PhaseLine(status));
  fmt::print("coordinator: {}, dashf {}, up {}\n",
             Show(coordinator, "process"),
             Show(coordinator, "version"),
             Ago(coordinator, "since_s"));
  const Json& quorum = At(status, "quorum");
  for (const char* role : {"users", "servers"}) {
    const Json& counts = At(status, role);
    fmt::print("{}: {}; {} known, {} needed\n",
               role,
               Counts(counts),
               Show(counts, "known"),
               Show(quorum, std::string(role) == "users" ? "users_min" : "servers_min"));
  }
  if (At(status, "parts").is_object()) {
    fmt::print("users' parts: {}\n", Counts(At(status, "parts")));
  }
  const Json& waited = At(status, "waited_for");
  if (const Json& names = At(waited, "names"); names.is_array() && !names.empty()) {
    const bool more = NumberAt(waited, "nodes").value_or(0.0) > static_cast<double>(names.size());
    fmt::print("waited for: {}{}\n",
               Joined(names, ", "),
               more ? fmt::format(", ... {} in all", Show(waited, "nodes")) : "");
  }
  if (At(status, "round_requested") == true) fmt::print("another round was asked for\n");
  if (const Json& last = At(status, "last_round"); last.is_object()) {
    fmt::print("last round: {}, {}; users done {}, failed {}, left out {}; ended {} ago\n",
               Show(last, "round"),
               Show(last, "result"),
               Show(last, "users_done"),
               Show(last, "users_failed"),
               Show(last, "users_left_out"),
               Ago(last, "ended_s"));
  }
}

void PrintNodes(const Json& rows) {
  Table table({"node", "state", "for", "heard", "factor", "work", "process", "where or why"});
  for (const Json& row : rows) {
    const Json& task = At(row, "task");
    const Json& compute = At(At(row, "factors"), "compute");
    std::string work = "-";
    if (task.is_object()) {
      work = fmt::format(
          "round {}, attempt {}: {}{}",
          Show(task, "round"),
          Show(task, "attempt"),
          Show(task, "phase"),
          At(task, "server").is_string() ? fmt::format(" ({})", Show(task, "server")) : "");
    } else if (NumberAt(row, "users").value_or(0.0) > 0.0) {
      work = Counted(static_cast<std::size_t>(*NumberAt(row, "users")), "user");
    }
    std::string where = Joined(At(row, "addresses"), " ");
    if (At(row, "reason").is_string()) where = Show(row, "reason");
    table.Add({Show(row, "node"),
               Show(row, "state"),
               Ago(row, "since_s"),
               Ago(row, "heard_s"),
               compute.is_object()
                   ? fmt::format("{:.2f}", NumberAt(compute, "factor").value_or(1.0))
                   : "-",
               work,
               Show(row, "process"),
               where});
  }
  table.Print();
}

void PrintRounds(const Json& rows) {
  Table table({"round",
               "began",
               "ended",
               "result",
               "done",
               "failed",
               "left out",
               "predicted (plan's s)",
               "measured (s)",
               "wall (s)"});
  for (const Json& row : rows) {
    const auto began_s = NumberAt(row, "began_s"), ended_s = NumberAt(row, "ended_s");
    const bool ended = At(row, "ended_s").is_number();
    table.Add({Show(row, "round"),
               Date(NumberAt(row, "began_s")),
               ended ? Date(NumberAt(row, "ended_s")) : Show(row, "state"),
               Show(row, "result"),
               Show(row, "users_done"),
               Show(row, "users_failed"),
               Show(row, "users_left_out"),
               Seconds(row, "predicted_s"),
               Seconds(row, "measured_s"),
               began_s && ended_s ? fmt::format("{:.4g}", *ended_s - *began_s) : "-"});
  }
  table.Print();
}

void PrintParts(const Json& rows) {
  Table table({"user",
               "state",
               "server",
               "predicted (s)",
               "at planned rates (s)",
               "measured (s)",
               "phase or why"});
  for (const Json& row : rows) {
    table.Add({Show(row, "user"),
               Show(row, "state"),
               Show(row, "server"),
               Seconds(row, "predicted_s"),
               Seconds(row, "measured_at_planned_s"),
               Seconds(row, "measured_s"),
               Show(row, At(row, "reason").is_string() ? "reason" : "phase")});
  }
  table.Print();
}

void PrintEvent(const std::string& line) {
  const Json event = Json::parse(line, nullptr, false);
  if (!event.is_object()) {
    fmt::print("{}\n", Printable(line));
    return;
  }
  std::string text = fmt::format("{} {}", Date(NumberAt(event, "time_s")), Show(event, "event"));
  for (const auto& [key, value] : event.items()) {
    if (key == "time_s" || key == "event" || key == "pid" || key == "node") continue;
    text += fmt::format(" {}={}", Printable(key), Show(value));
  }
  fmt::print("{}\n", text);
}

}  // namespace dashf::cli
