#include <fmt/format.h>

#include <algorithm>

#include "fleet.h"
#include "fleet/codec.h"

namespace dashf::fleet {

Expected<void> SimulatedLog::Append(std::span<const LoggedEvent> events) {
  if (refusing) return Fail(ErrorKind::kIo, "log", "no space left");
  for (const LoggedEvent& logged : events) {
    if (logged.at < last_at()) world_.Break("an event lies before the one before it");
    events_.push_back(logged);
  }
  return {};
}

Expected<void> SimulatedLog::Snapshot(const State& state) {
  snapshot_ = state;
  snapshot_at_ = events_.size();
  return {};
}

State SimulatedLog::Fold(bool from_snapshot) const {
  State state = from_snapshot ? snapshot_ : State{};
  for (std::size_t i = from_snapshot ? snapshot_at_ : 0; i < events_.size(); ++i) {
    Step(state, events_[i].at, events_[i].event);
  }
  return state;
}

void CoordinatorProcess::Start() {
  if (up()) return;
  ++life_;
  fleet_.world().Note("coordinator starts");
  keeper_ = std::make_unique<Keeper>(log_.Fold(true), &log_);
  sessions_.clear();
  const State& state = keeper_->state();
  if (log_.size() == 0) {
    Configured configured{fleet_.plan().policy, kLayers, {}, {}};
    for (const auto& [id, user] : fleet_.users) configured.users.push_back(id);
    for (const auto& [id, server] : fleet_.servers) configured.servers.push_back(id);
    if (!Take(configured)) return;
  } else {
    // Whoever was here is believed for one lease.
    const Millis until =
        fleet_.world().now() + static_cast<Millis>(1e3 * fleet_.plan().policy.lease_s);
    for (const auto* members : {&state.users, &state.servers}) {
      const Role role = members == &state.users ? Role::kUser : Role::kServer;
      for (const auto& [id, member] : *members) {
        if (member.presence != Presence::kHere) continue;
        sessions_[{role, id}] = {member.incarnation, until, "", 0};
      }
    }
    if (!fleet_.Has(Mistake::kForgetOwed)) Act(Owed(state));
  }
  Tick(life_);
}

void CoordinatorProcess::Crash() {
  if (!up()) return;
  fleet_.world().Note("coordinator crashes");
  keeper_.reset();
  ++life_;
}

CoordinatorProcess::Outcome CoordinatorProcess::Take(Event event) {
  World& world = fleet_.world();
  if (auto* report = std::get_if<PhaseFinished>(&event);
      report != nullptr && fleet_.Has(Mistake::kAnyIncarnation)) {
    if (const Member* member = keeper_->state().Find(report->reporter)) {
      report->incarnation = member->incarnation;
    }
  }
  const std::string kind(KindOf(event));
  auto results = keeper_->Take({{world.now(), std::move(event)}});
  if (!results && fleet_.Has(Mistake::kKeepAfterFailedAppend)) return Verdict::kAccepted;
  if (!results) {
    world.Note("the log refuses: " + results.error().Text());
    Crash();
    world.After(3'000, [this] { Start(); });
    return std::nullopt;
  }
  if (results->front().verdict != Verdict::kAccepted) return results->front().verdict;
  world.Note("event " + kind);
  fleet_.CheckParts(keeper_->state());
  Act(results->front().effects);
  if (up()) SendChangedOrders();
  return Verdict::kAccepted;
}

void CoordinatorProcess::Act(const std::vector<Effect>& effects) {
  for (const Effect& effect : effects) {
    if (const auto* plan = std::get_if<MakePlan>(&effect)) MakeIt(*plan);
    if (const auto* ended = std::get_if<RoundEnded>(&effect)) fleet_.Judge(*ended->round);
  }
}

// k follows from the user alone, so that what an adapter must be does not depend on faults.
void CoordinatorProcess::MakeIt(const MakePlan& plan) {
  World& world = fleet_.world();
  world.After(world.Uniform(1, 3'000), [this, plan, life = life_] {
    if (!up() || life != life_) return;
    const State& state = keeper_->state();
    std::vector<std::string> here;
    for (const auto& [id, server] : state.servers) {
      const bool works = std::any_of(
          state.round->tasks.begin(), state.round->tasks.end(), [&id = id](const auto& entry) {
            return entry.second.state == Task::State::kRunning && entry.second.server == id;
          });
      if (server.TakesPart() || works) here.push_back(id);
    }
    PlanMade made{plan.round, plan.plan, {}};
    if (here.empty()) {
      Take(std::move(made));
      return;
    }
    for (const auto& [id, task] : state.round->tasks) {
      Decision decision;
      decision.local_layers = static_cast<int>(Trained("k", std::hash<std::string>{}(id), 0) %
                                               static_cast<std::uint64_t>(kLayers + 1));
      // None at which it has failed, as long as there are others.
      std::vector<std::string> reached = here;
      std::erase_if(reached, [&task = task](const std::string& server) {
        return std::count(task.failed_at.begin(), task.failed_at.end(), server) > 0;
      });
      if (reached.empty()) reached = here;
      const auto pick = static_cast<std::size_t>(
          fleet_.world().Uniform(0, static_cast<std::int64_t>(reached.size()) - 1));
      made.assignments.push_back({id, reached[pick], decision, {}, ""});
    }
    Take(std::move(made));
  });
}

std::string CoordinatorProcess::OrdersText(const NodeId& node) const {
  const State& state = keeper_->state();
  if (node.role == Role::kServer) {
    const ServerOrders orders = OrdersOfServer(state, node.id);
    std::string text = orders.leave ? "leave " : "";
    for (const auto& work : orders.work) {
      text += fmt::format("{} {} {} {};", work.user, work.round, work.attempt, work.uploaded);
    }
    return text;
  }
  const UserOrders orders = OrdersOfUser(state, node.id);
  return fmt::format("{} {} {} {} {}",
                     static_cast<int>(orders.kind),
                     orders.round,
                     orders.attempt,
                     orders.server,
                     Key(orders.phase));
}

void CoordinatorProcess::SendOrders(const NodeId& to) {
  const State& state = keeper_->state();
  Session& session = sessions_[to];
  const std::int64_t version = session.version;
  if (to.role == Role::kServer) {
    ServerOrders orders = OrdersOfServer(state, to.id);
    if (fleet_.Has(Mistake::kReuseAttempt)) {
      for (auto& work : orders.work) work.attempt = 1;
    }
    fleet_.world().Send(CoordinatorNode(), to, [this, to, orders, version] {
      fleet_.servers.at(to.id).HearOrders(orders, version);
    });
    return;
  }
  UserOrders orders = OrdersOfUser(state, to.id);
  if (fleet_.Has(Mistake::kReuseAttempt) && orders.attempt > 0) orders.attempt = 1;
  fleet_.world().Send(CoordinatorNode(), to, [this, to, orders, version] {
    fleet_.users.at(to.id).HearOrders(orders, version);
  });
}

void CoordinatorProcess::SendChangedOrders() {
  for (auto& [node, session] : sessions_) {
    std::string text = OrdersText(node);
    if (text == session.orders) continue;
    session.orders = std::move(text);
    session.version = ++version_ + (static_cast<std::int64_t>(life_) << 32);
    SendOrders(node);
  }
}

void CoordinatorProcess::Order(const Event& event) {
  if (!up()) return;
  if (fleet_.Has(Mistake::kTellOperatorsFirst)) {
    fleet_.Told(event);
    fleet_.world().After(fleet_.world().Uniform(1, 500), [this, event, life = life_] {
      if (up() && life == life_) Take(event);
    });
    return;
  }
  const Outcome verdict = Take(event);
  if (verdict == Verdict::kAccepted) fleet_.Told(event);
}

bool CoordinatorProcess::Knows(const std::string& user,
                               std::uint32_t round,
                               int attempt,
                               Phase phase) const {
  if (!up() || !keeper_->state().round || keeper_->state().round->number != round) return false;
  const auto& tasks = keeper_->state().round->tasks;
  const auto task = tasks.find(user);
  return task != tasks.end() && task->second.attempt == attempt && task->second.phase > phase;
}

// A sign of life. A node that the state does not believe here joins (again).
void CoordinatorProcess::Hear(const NodeId& from, std::uint64_t incarnation, std::int64_t seen) {
  if (!up()) return;
  const Member* member = keeper_->state().Find(from);
  const bool known = member->presence == Presence::kHere && member->incarnation == incarnation;
  if (!known) {
    const bool any = fleet_.Has(Mistake::kAnyIncarnation);
    if (any && member->presence == Presence::kHere) {
      Take(WentAway{from, member->incarnation});
    }
    if (!up()) return;
    const auto session = sessions_.find(from);
    const bool pushed_out = session != sessions_.end() && session->second.incarnation != 0 &&
                            session->second.incarnation != incarnation &&
                            session->second.lease_until >= fleet_.world().now();
    if (Take(Joined{from, incarnation, ""}) != Verdict::kAccepted) return;
    if (pushed_out) fleet_.world().Break(Name(from) + " was pushed out within its lease");
  }
  if (!up()) return;
  Session& session = sessions_[from];
  session.incarnation = incarnation;
  session.lease_until =
      fleet_.world().now() + static_cast<Millis>(1e3 * fleet_.plan().policy.lease_s);
  if (session.orders.empty()) {
    SendChangedOrders();
  } else if (seen != session.version && !fleet_.Has(Mistake::kOrdersOnce)) {
    SendOrders(from);
  }
}

void CoordinatorProcess::HearReport(const PhaseFinished& report) {
  if (!up()) return;
  const NodeId from = report.reporter;
  const auto answer = [this, from, report](Verdict verdict) {
    fleet_.world().Send(CoordinatorNode(), from, [this, from, report, verdict] {
      if (from.role == Role::kUser) {
        fleet_.users.at(from.id).HearVerdict(report, verdict);
      } else {
        fleet_.servers.at(from.id).HearVerdict(report, verdict);
      }
    });
  };
  if (fleet_.Has(Mistake::kAnswerBeforeLog)) {
    answer(Verdict::kAccepted);
    fleet_.world().After(fleet_.world().Uniform(1, 500), [this, report, life = life_] {
      if (up() && life == life_) Take(report);
    });
    return;
  }
  if (const Outcome verdict = Take(report)) answer(*verdict);
}

void CoordinatorProcess::Tick(int life) {
  if (!up() || life != life_) return;
  const Millis now = fleet_.world().now();
  std::vector<std::pair<NodeId, std::uint64_t>> lapsed;
  for (const auto& [node, session] : sessions_) {
    const Member* member = keeper_->state().Find(node);
    if (member->presence == Presence::kHere && now > session.lease_until) {
      lapsed.emplace_back(node, member->incarnation);
    }
  }
  for (const auto& [node, incarnation] : lapsed) {
    if (up() && !fleet_.Has(Mistake::kSkipLease)) Take(WentAway{node, incarnation});
  }
  if (up()) {
    const auto due = NextDue(keeper_->state());
    if (due && *due <= now && !fleet_.Has(Mistake::kStopClock)) Take(TimePassed{});
  }
  if (up() && life == life_) {
    fleet_.world().After(500, [this, life] { Tick(life); });
  }
}

}  // namespace dashf::fleet
