// One event's effects on the users' parts of a round. Internal to step.cc, which owns the round.
#pragma once

#include "fleet/step.h"

namespace dashf::fleet {

Millis InMillis(double seconds);

class Tasks {
 public:
  Tasks(State& state, Millis at, std::vector<Effect>& effects)
      : state_(state), at_(at), effects_(effects) {}

  bool AnyPending() const;
  // This event has ended a task.
  bool any_ended() const { return any_ended_; }
  // One that waits for a plan, and not for a server first.
  bool AnyUnplanned() const;
  bool AnyWaitsForSlot() const;
  // A plan for whoever is pending, once the one that is being made is there.
  void WantPlan();
  // A user that has come while the round runs.
  void TakeIn(const std::string& user);
  void Assign(const Assignment& assignment);
  Verdict Report(const PhaseFinished& event);
  void Overdue(Task& task);
  // A node that is gone or excluded takes no further part; what needed it is planned anew.
  void LoseNode(const NodeId& node, const std::string& why);
  void Fail(Task& task, const std::string& failure);
  static std::string BecauseOf(const Task& task);  // What had gone wrong before, if anything.

 private:
  void Enter(Task& task, Phase phase);
  void Advance(Task& task);
  void Learn(const Task& task, const PhaseFinished& event);
  void Finish(Task& task, const PhaseFinished& event, bool overtakes);
  void FailPhase(Task& task, Phase phase, const std::string& failure);
  Verdict ReportEarlier(Task& task, const PhaseFinished& event);
  void Retry(Task& task, const std::string& failure);
  void SetPending(Task& task);
  void WaitForServer(Task& task);
  void AvoidServer(Task& task, const std::string& server);

  State& state_;
  const Millis at_;
  std::vector<Effect>& effects_;
  bool any_ended_ = false;
};

}  // namespace dashf::fleet
