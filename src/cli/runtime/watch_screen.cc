#include "cli/runtime/watch_screen.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/counted.h"
#include "base/printable.h"
#include "cli/runtime/ctl_tables.h"

namespace dashf::cli {
namespace {

using Json = WatchScreen::Json;

constexpr std::size_t kEventsMax = 200;
constexpr std::size_t kEventLines = 6;  // Of a screen.

// A member; null where there is none, for the page may be of another version.
const Json& At(const Json& json, std::string_view key) {
  static const Json kNone;
  if (!json.is_object()) return kNone;
  const auto found = json.find(key);
  return found == json.end() ? kNone : *found;
}

double NumberOf(const Json& json) {
  return json.is_number() ? json.get<double>() : 0.0;
}

std::string TextOf(const Json& json) {
  if (json.is_string()) return PrintableLine(json.get_ref<const std::string&>());
  if (json.is_boolean()) return json.get<bool>() ? "true" : "false";
  return json.is_number() ? fmt::format("{:.6g}", json.get<double>()) : "-";
}

std::string SumOf(const Json& phases) {
  double sum = 0.0;
  bool any = false;
  if (!phases.is_array()) return "-";
  for (const Json& phase : phases) {
    any = any || phase.is_number();
    sum += NumberOf(phase);
  }
  return any ? fmt::format("{:.3g}", sum) : "-";
}

std::string LossOf(const Json& value) {
  return value.is_number() ? fmt::format("{:.3f}", value.get<double>()) : "-";
}

std::string PhaseLine(const Json& fleet) {
  const Json& status = At(fleet, "status");
  const std::string phase = TextOf(At(status, "phase"));
  if (phase == "over") return "over";
  if (phase == "idle") {
    return fmt::format("idle after round {}", TextOf(At(status, "rounds_begun")));
  }
  const double of = NumberOf(At(status, "rounds_max"));
  return fmt::format("round {}{} {}",
                     TextOf(At(status, "round")),
                     of > 0.0 ? fmt::format(" of {:.0f}", of) : "",
                     phase);
}

std::string PartsLine(const Json& fleet) {
  const Json& parts = At(At(fleet, "status"), "parts");
  std::string line;
  if (!parts.is_object()) return line;
  for (const auto& [what, count] : parts.items()) {
    if (NumberOf(count) == 0.0) continue;
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", TextOf(count), Printable(what));
  }
  return line;
}

std::string PlanLine(const Json& plan) {
  if (!plan.is_object()) return "no plan yet";
  const double scr = NumberOf(At(plan, "scr")), upper = NumberOf(At(plan, "scr_upper"));
  std::string line = fmt::format("SCR {:.4g}", scr);
  if (upper > 0.0) {
    line += fmt::format(", at most {:.2f} % below the best",
                        std::max(0.01, std::ceil(1e4 * (upper - scr) / upper) / 100.0));
  }
  return line + fmt::format(", planned with {} in {:.3g} s",
                            TextOf(At(plan, "method")),
                            NumberOf(At(plan, "elapsed_s")));
}

std::string EventLine(const Json& event) {
  std::string line = TextOf(At(event, "event"));
  for (const auto& [key, value] : event.items()) {
    if (key == "time_s" || key == "event" || key == "pid" || key == "node") continue;
    if (value == "" || value.is_null()) continue;
    line += fmt::format(" {}={}", Printable(key), TextOf(value));
  }
  return line;
}

using Cells = std::vector<std::string>;
const Cells kHeads = {
    "node", "state", "part", "server", "k", "pred. (s)", "meas. (s)", "base", "adapter", ""};
constexpr std::size_t kFirstNumber = 4, kFirstText = 9;  // Between them numbers.

Cells CellsOf(const std::string& name, const Json& node) {
  const Json& part = At(node, "part");
  if (!part.is_object()) {
    const auto users = static_cast<std::size_t>(NumberOf(At(node, "users")));
    return {name,
            TextOf(At(node, "state")),
            name.starts_with("server/") ? Counted(users, "user") : "",
            "",
            "",
            "",
            "",
            "",
            "",
            ""};
  }
  const Json& phase = At(part, "phase");
  return {name,
          TextOf(At(node, "state")),
          TextOf(phase.is_string() ? phase : At(part, "state")),
          TextOf(At(part, "server")),
          TextOf(At(part, "k")),
          SumOf(At(part, "predicted_s")),
          SumOf(At(part, "at_planned_s")),
          LossOf(At(part, "loss_before")),
          LossOf(At(part, "loss_after")),
          At(part, "reason").is_string() ? TextOf(At(part, "reason")) : ""};
}

// As wide as what is in them, so that a terminal of 80 columns shows them all.
std::vector<std::string> Aligned(const std::vector<Cells>& table) {
  std::vector<std::size_t> width(kFirstText, 0);
  for (const Cells& cells : table) {
    for (std::size_t i = 0; i < kFirstText; ++i) width[i] = std::max(width[i], cells[i].size());
  }
  std::vector<std::string> rows;
  for (const Cells& cells : table) {
    std::string& row = rows.emplace_back();
    for (std::size_t i = 0; i < kFirstText; ++i) {
      row += i < kFirstNumber ? fmt::format("{:<{}} ", cells[i], width[i])
                              : fmt::format("{:>{}} ", cells[i], width[i]);
    }
    row += " " + cells[kFirstText];
  }
  return rows;
}

}  // namespace

void WatchScreen::Begin(Json fleet) {
  nodes_.clear();
  if (At(fleet, "nodes").is_array()) {
    for (Json& node : fleet["nodes"]) nodes_[TextOf(At(node, "node"))] = node;
  }
  fleet_ = std::move(fleet);
  if (shows_ != Shows::kLines || !At(fleet_, "events").is_array()) return;
  for (const Json& event : fleet_["events"]) Tell(event);
}

void WatchScreen::Take(const std::string& event, Json data) {
  if (event == "changed") {
    for (Json& node : data["nodes"]) nodes_[TextOf(At(node, "node"))] = node;
    data.erase("nodes");
    for (auto& [key, value] : data.items()) fleet_[key] = value;
  } else if (event == "happened") {
    if (shows_ == Shows::kLines) return Tell(data);
    Json& events = fleet_["events"];
    events.push_back(std::move(data));
    if (events.size() > kEventsMax) events.erase(events.begin());
  }
}

// Once, however often the coordinator was away.
void WatchScreen::Tell(const Json& event) {
  const double at_s = NumberOf(At(event, "time_s"));
  if (at_s < last_s_) return;
  last_s_ = at_s;
  const std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (line == told_) return;
  told_ = line;
  PrintEvent(line);
  std::fflush(stdout);
}

void WatchScreen::Away() {
  if (shows_ == Shows::kScreen) {
    fmt::print("\x1b[H\x1b[7mthe coordinator is away; trying again\x1b[0m\x1b[K");
    std::fflush(stdout);
  } else {
    fmt::print(stderr, "the coordinator is away; trying again\n");
  }
}

bool WatchScreen::Over() const {
  return At(At(fleet_, "status"), "phase") == "over";
}

void WatchScreen::Draw() {
  if (shows_ == Shows::kNothing) return;
  if (shows_ == Shows::kScreen) {
    winsize size{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    const std::string screen = known ? Screen(size.ws_col, size.ws_row) : Screen(100, 30);
    fmt::print("\x1b[H{}\x1b[J", screen);
    std::fflush(stdout);
    return;
  }
  const std::string parts = PartsLine(fleet_);
  std::string line = PhaseLine(fleet_) + (parts.empty() ? "" : ": " + parts);
  if (line == said_) return;
  said_ = std::move(line);
  fmt::print("{}\n", said_);
  std::fflush(stdout);
}

std::string WatchScreen::Screen(std::size_t columns, std::size_t lines) const {
  const Json& status = At(fleet_, "status");
  std::vector<std::string> rows = {
      fmt::format("{}: {}", TextOf(At(fleet_, "name")), PhaseLine(fleet_)),
      fmt::format("servers {} of {} here, users {} of {}; {}",
                  TextOf(At(At(status, "servers"), "here")),
                  TextOf(At(At(status, "servers"), "known")),
                  TextOf(At(At(status, "users"), "here")),
                  TextOf(At(At(status, "users"), "known")),
                  PartsLine(fleet_)),
      PlanLine(At(fleet_, "plan")),
      ""};
  // The last line stays free. Where there is little room, events have it after a few nodes.
  const std::size_t room = lines > rows.size() + 2 ? lines - rows.size() - 2 : 1;
  const std::size_t event_lines = std::min(kEventLines, room / 3);
  const std::size_t node_lines =
      std::max<std::size_t>(1, room - event_lines - (event_lines > 0 ? 1 : 0));
  std::vector<Cells> table = {kHeads};
  for (const auto& [name, node] : nodes_) {
    if (table.size() > node_lines) break;
    table.push_back(CellsOf(name, node));
  }
  std::vector<std::string> nodes = Aligned(table);
  if (const std::size_t shown = table.size() - 1; shown < nodes_.size()) {
    nodes.back() = fmt::format("and {} more", nodes_.size() - shown + 1);
  }
  rows.insert(rows.end(), nodes.begin(), nodes.end());
  if (const Json& events = At(fleet_, "events"); events.is_array() && event_lines > 0) {
    rows.push_back("");
    for (std::size_t i = events.size() - std::min(events.size(), event_lines); i < events.size();
         ++i) {
      rows.push_back(EventLine(events[i]));
    }
  }
  if (lines > 1 && rows.size() > lines - 1) rows.resize(lines - 1);
  std::string screen;
  for (const std::string& row : rows) screen += Clipped(row, columns) + "\x1b[K\n";
  return screen;
}

}  // namespace dashf::cli
