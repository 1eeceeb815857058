#include "fleet/tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace dashf::fleet {
namespace {

using TaskState = Task::State;

double PredictedS(const Task& task, Phase phase) {
  switch (phase) {
    case Phase::kLocal:
      return task.predicted_s.local.value_or(0.0);
    case Phase::kUpload:
      return task.predicted_s.upload.value_or(0.0);
    case Phase::kServer:
      return task.predicted_s.server.value_or(0.0);
    case Phase::kDownload:
      return task.predicted_s.download.value_or(0.0);
    case Phase::kVerify:
      return 0.0;
  }
  return 0.0;
}

double AssumedFactor(const Task& task, Phase phase) {
  switch (phase) {
    case Phase::kLocal:
      return task.factors.local;
    case Phase::kUpload:
      return task.factors.upload;
    case Phase::kServer:
      return task.factors.server;
    case Phase::kDownload:
      return task.factors.download;
    case Phase::kVerify:
      return 1.0;
  }
  return 1.0;
}

bool Avoids(const Task& task, const std::string& server) {
  return std::count(task.failed_at.begin(), task.failed_at.end(), server) > 0;
}

}  // namespace

Millis InMillis(double seconds) {
  return static_cast<Millis>(std::llround(seconds * 1e3));
}

bool Tasks::AnyPending() const {
  return std::any_of(state_.round->tasks.begin(), state_.round->tasks.end(), [](const auto& entry) {
    return entry.second.state == TaskState::kPending;
  });
}

bool Tasks::AnyUnplanned() const {
  return std::any_of(state_.round->tasks.begin(), state_.round->tasks.end(), [](const auto& entry) {
    return entry.second.state == TaskState::kPending && entry.second.due == 0 &&
           !entry.second.waits_for_slot;
  });
}

bool Tasks::AnyWaitsForSlot() const {
  return std::any_of(state_.round->tasks.begin(), state_.round->tasks.end(), [](const auto& entry) {
    return entry.second.state == TaskState::kPending && entry.second.waits_for_slot;
  });
}

std::string Tasks::BecauseOf(const Task& task) {
  return task.failure.empty() ? "" : fmt::format(" (after: {})", task.failure);
}

Verdict Tasks::Report(const PhaseFinished& event) {
  const auto found = state_.round->tasks.find(event.user);
  if (found == state_.round->tasks.end()) return Verdict::kUnknown;
  Task& task = found->second;
  if (event.attempt != task.attempt || task.state == TaskState::kPending) {
    return event.attempt > task.attempt ? Verdict::kOutOfOrder : Verdict::kStale;
  }
  const NodeId owner =
      event.phase == Phase::kServer ? ServerNode(task.server) : UserNode(event.user);
  const Member* member = state_.Find(event.reporter);
  if (event.reporter != owner || member == nullptr || member->incarnation != event.incarnation) {
    return Verdict::kWrongReporter;
  }
  if (task.state == TaskState::kFailed) return Verdict::kStale;
  if (task.state == TaskState::kDone) {
    return event.failure.empty() ? Verdict::kDuplicate : Verdict::kStale;
  }
  if (event.phase < task.phase) return ReportEarlier(task, event);
  const bool overtakes = event.phase == Phase::kServer && task.phase == Phase::kUpload;
  // Who has the server's result knows that the server has finished, even if that cannot say so;
  // and who has verified the whole is done, whatever attempt it was.
  if (event.phase == Phase::kDownload && task.phase == Phase::kServer) Advance(task);
  if (event.phase == Phase::kVerify && event.failure.empty()) task.phase = Phase::kVerify;
  if (event.phase > task.phase && !overtakes) return Verdict::kOutOfOrder;
  if (overtakes && task.served) return Verdict::kDuplicate;
  if (event.failure.empty()) {
    Finish(task, event, overtakes);
  } else {
    FailPhase(task, event.phase, event.failure);
  }
  return Verdict::kAccepted;
}

void Tasks::TakeIn(const std::string& id) {
  Round& round = *state_.round;
  if (!state_.policy.late_users || round.tasks.contains(id)) return;
  round.absent.erase(id);
  SetPending(round.tasks[id]);
}

void Tasks::WantPlan() {
  Round& round = *state_.round;
  if (CountTakingPart(state_.servers) == 0) {
    for (auto& [id, task] : round.tasks) {
      if (task.state == TaskState::kPending) WaitForServer(task);
    }
    return;
  }
  if (round.planning) {
    round.plan_wanted = true;
    return;
  }
  round.plan_wanted = false;
  round.planning = true;
  ++round.plan;
  effects_.push_back(MakePlan{round.number, round.plan});
}

// A running user keeps its server and split, and takes the shares that it now has.
void Tasks::Assign(const Assignment& assignment) {
  const auto found = state_.round->tasks.find(assignment.user);
  if (found == state_.round->tasks.end()) return;
  Task& task = found->second;
  if (task.state == TaskState::kRunning) {
    if (task.server != assignment.server ||
        task.decision.local_layers != assignment.decision.local_layers) {
      return;
    }
    task.decision = assignment.decision;
    task.predicted_s = assignment.predicted_s;
    task.factors = assignment.factors;
    return;
  }
  if (task.state != TaskState::kPending) return;
  if (!assignment.failure.empty()) return Fail(task, assignment.failure + BecauseOf(task));
  if (assignment.waits_for_slot) {
    const bool any_at_work =
        std::any_of(state_.round->tasks.begin(), state_.round->tasks.end(), [](const auto& entry) {
          return entry.second.state == TaskState::kRunning;
        });
    if (!any_at_work) return Fail(task, "no server that it reaches has a slot" + BecauseOf(task));
    task.waits_for_slot = true;
    task.due = 0;  // Which it may have from a wait for a server that is here again.
    return;
  }
  const Decision& decision = assignment.decision;
  const auto server = state_.servers.find(assignment.server);
  const bool fits = server != state_.servers.end() && decision.local_layers >= 0 &&
                    decision.local_layers <= state_.layers;
  if (!fits) return Fail(task, "the plan does not fit the fleet");
  if (decision.local_layers < state_.layers && !server->second.TakesPart()) {
    // Another one, if the user reaches another; else it waits for this one.
    const bool avoided = Avoids(task, assignment.server);
    AvoidServer(task, assignment.server);
    return avoided ? WaitForServer(task) : SetPending(task);
  }
  ++task.attempt;
  task.state = TaskState::kRunning;
  task.server = assignment.server;
  task.decision = decision;
  task.predicted_s = assignment.predicted_s;
  task.factors = assignment.factors;
  task.served = task.waits_for_slot = false;
  task.failure.clear();
  std::erase_if(task.measured, [](const auto& entry) { return entry.first != "local"; });
  Enter(task, FirstPhase(decision.local_layers, task.trained_layers, state_.layers));
}

void Tasks::Enter(Task& task, Phase phase) {
  task.phase = phase;
  task.since = at_;
  const Policy& policy = state_.policy;
  task.due = 0;
  if (!(policy.phase_factor > 0.0)) return;
  const double predicted_s = policy.time_scale * PredictedS(task, phase);
  task.due = at_ + InMillis(policy.phase_factor * predicted_s + policy.phase_slack_s);
}

// Of a phase that a node has done by itself; the user's link bears both transfers.
void Tasks::Learn(const Task& task, const PhaseFinished& event) {
  const double predicted_s = state_.policy.time_scale * PredictedS(task, event.phase);
  const double measured_s = event.measured.elapsed_s.value_or(0.0);
  Member* member =
      state_.Find(event.phase == Phase::kServer ? ServerNode(task.server) : UserNode(event.user));
  if (member == nullptr || !(predicted_s > 0.0 && measured_s > 0.0)) return;
  Factor& factor = event.phase == Phase::kUpload     ? member->factors.upload
                   : event.phase == Phase::kDownload ? member->factors.download
                                                     : member->factors.compute;
  factor.Hear(measured_s / predicted_s * AssumedFactor(task, event.phase));
}

void Tasks::Finish(Task& task, const PhaseFinished& event, bool overtakes) {
  task.measured[std::string(Key(event.phase))] = event.measured;
  Learn(task, event);
  if (event.phase == Phase::kLocal) task.trained_layers = task.decision.local_layers;
  if (event.phase == Phase::kVerify) {
    task.before = event.before;
    task.after = event.after;
  }
  if (overtakes) {
    task.served = true;
    return;
  }
  Advance(task);
  if (task.phase == Phase::kServer && task.served) Advance(task);
}

void Tasks::Advance(Task& task) {
  if (task.phase == Phase::kVerify) {
    task.state = TaskState::kDone;
    task.due = 0;
    any_ended_ = true;
  } else if (task.phase == Phase::kLocal && task.decision.local_layers == state_.layers) {
    Enter(task, Phase::kVerify);
  } else {
    Enter(task, static_cast<Phase>(static_cast<int>(task.phase) + 1));
  }
}

// What a server has a part in may go better elsewhere; the user's own failures stay.
void Tasks::FailPhase(Task& task, Phase phase, const std::string& failure) {
  const std::string text = fmt::format("{} failed: {}", Name(phase), failure);
  if (phase == Phase::kLocal || phase == Phase::kVerify) {
    Fail(task, text);
  } else {
    Retry(task, text);
  }
}

// Of a phase that is over. A failure says that what had come of it is lost.
Verdict Tasks::ReportEarlier(Task& task, const PhaseFinished& event) {
  if (event.failure.empty()) {
    const bool news = task.measured.emplace(std::string(Key(event.phase)), event.measured).second;
    return news ? Verdict::kAccepted : Verdict::kDuplicate;
  }
  if (event.phase == Phase::kLocal) task.trained_layers = 0;
  Retry(task, fmt::format("the outcome of {} was lost: {}", Name(event.phase), event.failure));
  return Verdict::kAccepted;
}

void Tasks::Retry(Task& task, const std::string& failure) {
  if (task.attempt >= state_.policy.attempts_max) return Fail(task, failure);
  AvoidServer(task, task.server);
  SetPending(task);
  task.failure = failure;
}

void Tasks::SetPending(Task& task) {
  task.state = TaskState::kPending;
  task.since = at_;
  task.due = 0;
  task.waits_for_slot = false;
  WantPlan();
}

void Tasks::WaitForServer(Task& task) {
  if (task.due == 0) task.due = at_ + InMillis(state_.policy.grace_s);
}

void Tasks::AvoidServer(Task& task, const std::string& server) {
  if (!Avoids(task, server)) task.failed_at.push_back(server);
}

void Tasks::Fail(Task& task, const std::string& failure) {
  if (task.Ended()) return;
  task.state = TaskState::kFailed;
  task.due = 0;
  any_ended_ = true;
  task.failure = failure;
}

void Tasks::Overdue(Task& task) {
  if (task.state == TaskState::kPending) {
    Fail(task, "no server was there" + BecauseOf(task));
    return;
  }
  const std::string text = fmt::format("{} was overdue", Name(task.phase));
  if (NeedsServer(task, state_.layers) && task.phase != Phase::kLocal) {
    Retry(task, text);
  } else {
    Fail(task, text);
  }
}

// A node that is gone or excluded takes no further part; what needed it is planned anew.
void Tasks::LoseNode(const NodeId& node, const std::string& why) {
  if (!state_.round || state_.round->stage == Round::Stage::kEnded) return;
  if (node.role == Role::kUser) {
    const auto found = state_.round->tasks.find(node.id);
    if (found == state_.round->tasks.end()) return;
    Task& task = found->second;
    const bool running = task.state == TaskState::kRunning;
    Fail(task, running ? fmt::format("{} during {}", why, Name(task.phase)) : why);
    return;
  }
  for (auto& [id, task] : state_.round->tasks) {
    if (task.state != TaskState::kRunning || task.server != node.id) continue;
    if (!NeedsServer(task, state_.layers)) continue;
    Retry(task, fmt::format("server {} {} during {}", node.id, why, Name(task.phase)));
  }
}

}  // namespace dashf::fleet
