// What is shown of the fleet to whoever looks on.
#include "base/printable.h"
#include "runtime/coordinator_process.h"
#include "runtime/fleet_record.h"

namespace dashf::runtime {
namespace {

constexpr std::size_t kNodesATick = 256;
constexpr std::chrono::seconds kLeasesEvery(3);  // Signs of life are no events.

}  // namespace

void Coordinator::BeginWatch() {
  if (watch_ == nullptr) return;
  const Scenario& scenario = deployment_.scenario();
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    place_[UserNode(scenario.users[n].id)] = n;
  }
  for (std::size_t m = 0; m < scenario.servers.size(); ++m) {
    place_[ServerNode(scenario.servers[m].id)] = m;
  }
  watch_begun_ = true;
  watch_->begin({scenario.name, recent_, state().history});
  ShowWhole();
}

// As it is at the end, or at the beginning.
void Coordinator::ShowWhole() {
  if (!watch_begun_) return;
  shown_next_.reset();
  show_wanted_ = true;
  do {
    ShowSome();
  } while (shown_next_);
}

// A page of nodes more, of a snapshot that has begun or is due.
void Coordinator::ShowSome() {
  if (!watch_begun_) return;
  const auto now = Clock::now();
  if (!shown_next_) {
    if (!show_wanted_ && now < leases_shown_ + kLeasesEvery) return;
    show_wanted_ = false;
    leases_shown_ = now;
    shown_next_ = ServerNode("");
    showing_ = std::make_shared<FleetSnapshot>();
    showing_->status = StatusOf(state());
    showing_->time_scale = emulation_.time_scale;
    showing_->sessions = service_.sessions();
    showing_->jobs_waiting = loop_.size() + events_.size();
    if (state().round) {
      showing_->round = state().round->number;
      showing_->stage = Name(state().round->stage);
    }
  }
  NodePage page = NodesFrom(
      state(), *shown_next_, kNodesATick, [this](const NodeId& node) { return SignOf(node); });
  for (NodeRow& row : page.rows) showing_->nodes.push_back(WatchedOf(std::move(row)));
  shown_next_ = page.next;
  if (!shown_next_) watch_->show(std::exchange(showing_, nullptr));
}

WatchedNode Coordinator::WatchedOf(NodeRow row) const {
  WatchedNode watched{std::move(row), {}, std::nullopt};
  const NodeId& node = watched.row.node;
  const Scenario& scenario = deployment_.scenario();
  const auto place = place_.find(node);
  if (place == place_.end()) return watched;  // The log has it, the scenario has not.
  if (node.role == Role::kServer) {
    watched.position_m = scenario.servers[place->second].position_m;
    return watched;
  }
  watched.position_m = scenario.users[place->second].position_m;
  if (!state().round) return watched;
  const fleet::Round& round = *state().round;
  if (const auto task = round.tasks.find(node.id); task != round.tasks.end()) {
    watched.part = {
        PartOf(node.id, task->second),
        task->second.since,
        UserRecordOf(
            task->second, scenario, place->second, emulation_, config_.coordinator_kit.learn)};
  } else if (const auto absent = round.absent.find(node.id); absent != round.absent.end()) {
    watched.part.emplace();
    watched.part->row.user = node.id;
    watched.part->row.state = "left out";
    watched.part->row.reason = Clipped(absent->second, kReasonBytesMax);
  }
  return watched;
}

}  // namespace dashf::runtime
