// Who is a member, and who has a place: after a start of the coordinator, and where slots are few.
#include <gmock/gmock.h>

#include <algorithm>

#include "fleet/step.h"

namespace dashf::fleet {
namespace {

using testing::HasSubstr;

constexpr int kLayers = 4;

// Users u0 and u1 and one server.
class FleetMembers : public testing::Test {
 protected:
  StepResult Take(const Event& event) { return Step(state_, at_, event); }
  StepResult Start(const std::vector<std::string>& users = {"u0", "u1"}) {
    return Take(Configured{policy_, kLayers, users, {"s0"}, "", "fleet"});
  }
  void JoinAll() {
    for (const NodeId& node : {UserNode("u0"), UserNode("u1"), ServerNode("s0")}) {
      Take(Joined{node, 1, "{}"});
    }
  }
  static Assignment To(const std::string& user) {
    Assignment assignment{user, "s0", {}, {}, "", false};
    assignment.decision.local_layers = 2;
    return assignment;
  }
  static Assignment Waiting(const std::string& user) { return {user, "", {}, {}, "", true}; }
  StepResult Plan(std::vector<Assignment> assignments) {
    return Take(PlanMade{state_.round->number, state_.round->plan, std::move(assignments)});
  }
  Task& TaskOf(const std::string& user) { return state_.round->tasks.at(user); }
  StepResult Verify(const std::string& user) {
    return Take(PhaseFinished{.reporter = UserNode(user),
                              .incarnation = 1,
                              .round = state_.round->number,
                              .attempt = TaskOf(user).attempt,
                              .user = user,
                              .phase = Phase::kVerify,
                              .failure = "",
                              .measured = {},
                              .before = {},
                              .after = {}});
  }

  Policy policy_;
  Millis at_ = 1'000;
  State state_;
};

TEST_F(FleetMembers, WhereNoRoundDependsOnThemTheyShowThatTheyAreHereAfterAStart) {
  policy_.rounds_max = 1;
  Start();
  JoinAll();
  Plan({To("u0"), To("u1")});
  at_ = 2'000;
  Start();
  EXPECT_EQ(state_.users["u0"].presence, Presence::kHere) << "the round that runs goes on";
  Verify("u0");
  Verify("u1");
  EXPECT_TRUE(state_.over);
  at_ = 3'000'000;
  policy_.rounds_max = 2;
  Start();
  EXPECT_EQ(state_.users["u0"].presence, Presence::kAway);
  EXPECT_EQ(state_.users["u0"].since, at_) << "for nobody could hear it before";
  EXPECT_EQ(state_.round->stage, Round::Stage::kGathering);
  JoinAll();
  EXPECT_EQ(state_.round->stage, Round::Stage::kPlanning);
}

TEST_F(FleetMembers, WhoeverTheScenarioHasNoMoreIsNotWaitedForAndHasNoPart) {
  Start({"u0", "u1", "u2"});
  JoinAll();
  EXPECT_EQ(state_.round->stage, Round::Stage::kGathering) << "u2 has never come";
  Start();
  JoinAll();
  EXPECT_EQ(state_.round->stage, Round::Stage::kPlanning);
  EXPECT_FALSE(state_.round->tasks.contains("u2"));
  Plan({To("u0"), To("u1")});
  Start({"u0"});
  EXPECT_EQ(TaskOf("u1").state, Task::State::kFailed);
  EXPECT_THAT(TaskOf("u1").failure, HasSubstr("has left the scenario"));
  Start();
  EXPECT_EQ(state_.users["u1"].refused, "") << "it is back";
}

TEST_F(FleetMembers, APhaseHasItsTimeAnewAfterAStart) {
  policy_.phase_factor = 1.0;
  policy_.phase_slack_s = 5.0;
  Start();
  JoinAll();
  Plan({To("u0"), To("u1")});
  EXPECT_EQ(TaskOf("u0").due, 6'000);
  at_ = 100'000;
  Start();
  EXPECT_EQ(TaskOf("u0").due, 105'000);
}

TEST_F(FleetMembers, WhoWaitsForASlotIsPlannedOnceAnotherHasEnded) {
  Start();
  JoinAll();
  const auto planned = Plan({To("u0"), Waiting("u1")});
  EXPECT_TRUE(planned.effects.empty()) << "no plan would be another";
  EXPECT_EQ(TaskOf("u1").state, Task::State::kPending);
  EXPECT_FALSE(NextDue(state_));
  const auto ended = Verify("u0");
  ASSERT_EQ(ended.effects.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<MakePlan>(ended.effects[0]));
  Plan({To("u1")});
  EXPECT_EQ(TaskOf("u1").state, Task::State::kRunning);
  Verify("u1");
  EXPECT_EQ(state_.history.back().done, 2U);
}

TEST_F(FleetMembers, NobodyWaitsForASlotThatNobodyGivesBack) {
  Start();
  JoinAll();
  Plan({Waiting("u0"), Waiting("u1")});
  EXPECT_EQ(state_.round->stage, Round::Stage::kEnded);
  EXPECT_THAT(TaskOf("u0").failure, HasSubstr("no server that it reaches has a slot"));
}

TEST_F(FleetMembers, ARequestWhileARoundGathersBeginsItWithThoseWhoAreHere) {
  Start();
  Take(Joined{UserNode("u0"), 1, "{}"});
  Take(RoundRequested{});
  EXPECT_EQ(state_.round->stage, Round::Stage::kGathering) << "no server is here";
  EXPECT_TRUE(state_.requested) << "another round, then";
  Take(Joined{ServerNode("s0"), 1, "{}"});
  EXPECT_EQ(Take(RoundRequested{}).verdict, Verdict::kAccepted);
  EXPECT_EQ(state_.round->stage, Round::Stage::kPlanning);
  EXPECT_EQ(state_.round->absent.at("u1"), "never seen");
}

TEST_F(FleetMembers, WhoWaitsForASlotIsNotOverdueForAServerThatIsHereAgain) {
  policy_.grace_s = 10.0;
  Start();
  JoinAll();
  at_ = 2'000;
  Take(WentAway{ServerNode("s0"), 1});
  Plan({To("u0"), To("u1")});  // Both wait for the server,
  ASSERT_GT(TaskOf("u1").due, 0);
  at_ = 5'000;
  Take(Joined{ServerNode("s0"), 2, "{}"});
  Plan({To("u0"), Waiting("u1")});  // which has a slot for one.
  EXPECT_EQ(TaskOf("u1").due, 0);
  at_ = 60'000;
  Take(TimePassed{});
  EXPECT_EQ(TaskOf("u1").state, Task::State::kPending);
}

}  // namespace
}  // namespace dashf::fleet
