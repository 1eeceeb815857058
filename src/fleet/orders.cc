#include "fleet/orders.h"

namespace dashf::fleet {
namespace {

UserOrders Leave(const State& state, const std::string& user) {
  UserOrders orders;
  orders.kind = UserOrders::Kind::kLeave;
  orders.reason = state.over_reason;
  // Who is sent home by an operator has not failed.
  if (!state.round || !state.over_by.empty()) return orders;
  if (const auto task = state.round->tasks.find(user); task != state.round->tasks.end()) {
    orders.success = task->second.state == Task::State::kDone;
    orders.reason = task->second.failure;
  } else if (const auto absent = state.round->absent.find(user);
             absent != state.round->absent.end()) {
    orders.success = false;
    orders.reason = absent->second;
  }
  return orders;
}

std::string WhyItRests(const State& state, const std::string& user) {
  const auto member = state.users.find(user);
  if (member == state.users.end()) return "";
  if (!member->second.refused.empty()) return member->second.refused;
  return member->second.drained ? "drained by an operator" : "waiting for a round";
}

bool Over(const State& state) {
  return state.over && (!state.round || state.round->stage == Round::Stage::kEnded);
}

}  // namespace

UserOrders OrdersOfUser(const State& state, const std::string& user) {
  if (Over(state)) return Leave(state, user);
  UserOrders rest;
  rest.reason = WhyItRests(state, user);
  if (!state.round) return rest;
  const auto found = state.round->tasks.find(user);
  if (found == state.round->tasks.end()) return rest;
  const Task& task = found->second;
  if (task.state == Task::State::kPending) rest.reason = "waiting for a plan";
  if (task.state == Task::State::kFailed) rest.reason = task.failure;
  if (task.state != Task::State::kRunning) return rest;
  return {.kind = UserOrders::Kind::kWork,
          .success = true,
          .reason = "",
          .round = state.round->number,
          .attempt = task.attempt,
          .server = task.server,
          .decision = task.decision,
          .phase = task.phase};
}

ServerOrders OrdersOfServer(const State& state, const std::string& server) {
  ServerOrders orders{.leave = Over(state), .work = {}};
  if (!state.round) return orders;
  for (const auto& [user, task] : state.round->tasks) {
    if (task.state != Task::State::kRunning || task.server != server) continue;
    if (!NeedsServer(task, state.layers)) continue;
    orders.work.push_back({.user = user,
                           .round = state.round->number,
                           .attempt = task.attempt,
                           .decision = task.decision,
                           .uploaded = task.phase > Phase::kUpload});
  }
  return orders;
}

}  // namespace dashf::fleet
