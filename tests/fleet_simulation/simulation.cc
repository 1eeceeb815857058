#include "simulation.h"

#include <fmt/format.h>

#include "fleet.h"
#include "fleet/codec.h"

namespace dashf::fleet {
namespace {

constexpr Millis kFaultsFor = 300'000;
constexpr Millis kQuietFor = 3'600'000;

Plan PlanOf(World& world) {
  Plan plan;
  plan.users = static_cast<int>(world.Uniform(1, 5));
  plan.servers = static_cast<int>(world.Uniform(1, 3));
  plan.transient = world.Chance(0.4);
  plan.faults = !world.Chance(0.2);
  Policy& policy = plan.policy;
  policy.rounds_max = static_cast<std::uint32_t>(world.Uniform(1, 4));
  policy.lease_s = 15.0;
  policy.gather_s = plan.transient ? 1e6 : 30.0;
  policy.grace_s = plan.transient ? 1e6 : static_cast<double>(world.Uniform(5, 90));
  policy.attempts_max = plan.transient ? 1'000'000 : static_cast<int>(world.Uniform(1, 5));
  policy.interval_s = world.Chance(0.3) ? 60.0 : 0.0;
  policy.give_up_s = plan.transient || world.Chance(0.5) ? 0.0 : 200.0;
  policy.on_request = world.Chance(0.2);
  policy.late_users = world.Chance(0.5);
  policy.phase_slack_s = 45.0;
  policy.phase_factor = !plan.transient && world.Chance(0.3) ? 1.0 : 0.0;
  return plan;
}

}  // namespace

Fleet::Fleet(World* world, Plan plan, Mistake mistake)
    : coordinator(this, world), world_(*world), plan_(std::move(plan)), mistake_(mistake) {
  for (int i = 0; i < plan_.users; ++i) {
    const std::string id = fmt::format("u{}", i);
    users.try_emplace(id, this, UserNode(id));
  }
  for (int i = 0; i < plan_.servers; ++i) {
    const std::string id = fmt::format("s{}", i);
    servers.try_emplace(id, this, ServerNode(id));
  }
}

// An operator's wish, and where it lasts, its end.
void Fleet::Operate(Millis lasts, const NodeId& node) {
  const std::string by = "operator/ada";
  switch (world_.Uniform(0, 6)) {
    case 0:
      coordinator.Order(RoundRequested{by});
      return;
    case 1:
      // Who is stopped at once has failed.
      if (world_.Chance(0.7)) return;
      coordinator.Order(Stopped{"enough", !plan_.transient && world_.Chance(0.5), by});
      return;
    case 2:
    case 3:
      coordinator.Order(Drained{node, by});
      break;
    default:
      if (plan_.transient) return;
      coordinator.Order(Excluded{node, "smokes", by});
  }
  world_.After(lasts, [this, node, by] { coordinator.Order(Admitted{node, by}); });
}

void Fleet::Told(const Event& order) {
  if (const auto* excluded = std::get_if<Excluded>(&order)) excluded_[excluded->node] = true;
  if (const auto* drained = std::get_if<Drained>(&order)) drained_[drained->node] = true;
  if (const auto* admitted = std::get_if<Admitted>(&order)) {
    excluded_[admitted->node] = drained_[admitted->node] = false;
  }
}

void Fleet::CheckParts(const State& state) {
  if (!state.round) return;
  for (const auto& [id, task] : state.round->tasks) {
    const auto [seen, is_new] = attempts_.try_emplace({state.round->number, id}, 0);
    if (is_new && !state.users.at(id).TakesPart()) {
      world_.Break(id + " is in a round that it does not take part in");
    }
    if (task.attempt > seen->second && task.decision.local_layers < kLayers &&
        !state.servers.at(task.server).TakesPart()) {
      world_.Break(fmt::format("{} was given to {}, which takes no part", id, task.server));
    }
    seen->second = task.attempt;
  }
}

// One fault, and its end.
void Fleet::FaultAt(Millis delay, Millis lasts) {
  world_.After(delay, [this, lasts] {
    if (!world_.faulty()) return;
    ++faults;
    const auto user = std::next(users.begin(), world_.Uniform(0, plan_.users - 1));
    const auto server = std::next(servers.begin(), world_.Uniform(0, plan_.servers - 1));
    const auto again = [this, lasts](auto& process) {
      world_.After(lasts, [&process] { process.Start(); });
    };
    switch (world_.Uniform(0, 10)) {
      case 0:
      case 1:
        coordinator.Crash();
        again(coordinator);
        break;
      case 2:
        user->second.Crash();
        again(user->second);
        break;
      case 3:
        server->second.Crash();
        again(server->second);
        break;
      case 4:
        if (!plan_.transient) user->second.LoseDisk();
        again(user->second);
        break;
      case 5:
        server->second.LoseDisk();
        again(server->second);
        break;
      case 6:
        coordinator.log().refusing = true;
        world_.After(lasts / 4, [this] { coordinator.log().refusing = false; });
        break;
      case 7: {
        const NodeId node = world_.Chance(0.5) ? UserNode(user->first) : ServerNode(server->first);
        Operate(lasts, node);
        break;
      }
      default: {
        const NodeId all[] = {CoordinatorNode(), UserNode(user->first), ServerNode(server->first)};
        const auto left = static_cast<std::size_t>(world_.Uniform(0, 2));
        const NodeId a = all[left], b = all[(left + 1) % 3];
        world_.Note(fmt::format("{} and {} are cut off from each other", Name(a), Name(b)));
        world_.Cut(a, b, true);
        world_.After(lasts, [this, a, b] { world_.Cut(a, b, false); });
      }
    }
  });
}

void Fleet::ScheduleFaults() {
  if (!plan_.faults) return;
  for (std::int64_t n = world_.Uniform(1, 12); n > 0; --n) {
    const Millis lasts =
        world_.Chance(0.5) ? world_.Uniform(1, 3'000) : world_.Uniform(3'000, 120'000);
    FaultAt(world_.Uniform(0, world_.Chance(0.6) ? 60'000 : kFaultsFor), lasts);
  }
}

// The state of any moment is the fold of the log, from its beginning and from the snapshot, and the
// fold of what the codec makes of it.
void Fleet::CheckReplay() {
  const State* state = coordinator.state();
  if (state == nullptr) return;
  for (const auto& [node, excluded] : excluded_) {
    if (excluded != state->Find(node)->excluded) {
      world_.Break(Name(node) + " is excluded, or is not, other than an operator was told");
    }
    if (drained_[node] && !state->Find(node)->drained) {
      world_.Break(Name(node) + " is not drained, as an operator was told");
    }
  }
  const auto live = ToJson(*state);
  if (ToJson(coordinator.log().Fold(false)) != live) world_.Break("the log folds to another state");
  if (ToJson(coordinator.log().Fold(true)) != live)
    world_.Break("the snapshot leads to another state");
  const auto again = StateFromJson(live);
  if (!again || ToJson(*again) != live) world_.Break("the state does not survive being written");
}

void Fleet::Judge(const Round& round) {
  State holder;
  holder.round = round;
  for (auto& [id, task] : holder.round->tasks) task.measured.clear();  // May come late.
  const std::string text = ToJson(holder)["round"]["tasks"].dump();
  const auto [known, is_new] = judged_.emplace(round.number, text);
  if (!is_new) {
    if (known->second != text)
      world_.Break(fmt::format("round {} ended twice, differently", round.number));
    return;
  }
  for (const auto& [id, task] : round.tasks) {
    task.state == Task::State::kDone ? ++done : ++failed;
    if (!task.Ended()) world_.Break(id + " was left in a round that ended");
    if (task.state == Task::State::kFailed && task.failure.empty()) {
      world_.Break(id + " failed without a reason");
    }
    if (task.state == Task::State::kFailed && plan_.transient) {
      world_.Break(fmt::format("{} failed though every fault was short: {}", id, task.failure));
    }
  }
}

bool Fleet::AllLeft() const {
  for (const auto& [id, user] : users) {
    if (!user.left()) return false;
  }
  for (const auto& [id, server] : servers) {
    if (!server.left()) return false;
  }
  return true;
}

// An operator who goes on asking, also while the coordinator is down.
void Fleet::AskForRounds() {
  coordinator.Order(RoundRequested{"operator/ada"});
  world_.After(20'000, [this] { AskForRounds(); });
}

void Fleet::Run() {
  if (plan_.policy.on_request) world_.After(1'000, [this] { AskForRounds(); });
  world_.After(0, [this] { coordinator.Start(); });
  for (auto& [id, user] : users) world_.After(world_.Uniform(0, 5'000), [&user] { user.Start(); });
  for (auto& [id, server] : servers) {
    world_.After(world_.Uniform(0, 5'000), [&server] { server.Start(); });
  }
  ScheduleFaults();
  const auto finished = [this] { return AllLeft(); };
  world_.Run(world_.now() + kFaultsFor, finished);
  CheckReplay();
  // Faults stop: everything comes back, and what is left to do is done.
  world_.Heal();
  coordinator.log().refusing = false;
  coordinator.Start();
  for (auto& [id, user] : users) coordinator.Order(Admitted{UserNode(id), ""});
  for (auto& [id, server] : servers) coordinator.Order(Admitted{ServerNode(id), ""});
  for (auto& [id, user] : users) user.Start();
  for (auto& [id, server] : servers) server.Start();
  world_.Run(world_.now() + kQuietFor, finished);
  CheckReplay();
  if (!world_.broken().empty()) return;
  if (!AllLeft()) {
    if (coordinator.state() != nullptr) world_.Note(ToJson(*coordinator.state()).dump());
    world_.Break("the fleet never came to its end");
    return;
  }
  const State& state = *coordinator.state();
  const auto rounds = state.over_reason.empty() ? plan_.policy.rounds_max : state.rounds_begun;
  if (judged_.size() != rounds) world_.Break("a round never ended");
}

std::string NameOf(Mistake mistake) {
  static constexpr const char* kNames[] = {"none",
                                           "answer-before-log",
                                           "skip-lease",
                                           "reuse-attempt",
                                           "any-incarnation",
                                           "forget-owed",
                                           "report-before-save",
                                           "forget-uploads",
                                           "mix-attempts",
                                           "stop-clock",
                                           "orders-once",
                                           "keep-after-failed-append",
                                           "tell-operators-first"};
  return kNames[static_cast<int>(mistake)];
}

std::vector<Mistake> AllMistakes() {
  std::vector<Mistake> all;
  for (int i = 1; i <= static_cast<int>(Mistake::kTellOperatorsFirst); ++i) {
    all.push_back(static_cast<Mistake>(i));
  }
  return all;
}

SimulationResult Simulate(std::uint64_t seed, Mistake mistake, bool trace) {
  World world(seed, trace);
  Fleet fleet(&world, PlanOf(world), mistake);
  fleet.Run();
  return {world.broken(), world.trace(), world.messages(), fleet.faults, fleet.done, fleet.failed};
}

}  // namespace dashf::fleet
