#include "runtime/coordinator_core.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/rng.h"

namespace dashf::runtime {
namespace {

constexpr int kLayers = 4;

// Two users on two servers: u0 splits in the middle on s0, u1 is all-local on s1.
CoordinatorState Planned(int u0_layers = 2, int u1_layers = kLayers) {
  CoordinatorState state = StartRound(1, kLayers, {"u0", "u1"}, {"s0", "s1"});
  for (const NodeId& node : {UserNode("u0"), UserNode("u1"), ServerNode("s0"), ServerNode("s1")}) {
    Step(state, NodeRegistered{node});
  }
  Step(state, PlanMade{{{"u0", "s0", u0_layers}, {"u1", "s1", u1_layers}}});
  return state;
}

template <class A>
int Count(const StepResult& result) {
  return static_cast<int>(
      std::count_if(result.actions.begin(), result.actions.end(), [](const Action& action) {
        return std::holds_alternative<A>(action);
      }));
}

StepResult Finish(CoordinatorState& state,
                  const std::string& user,
                  Phase phase,
                  const std::string& failure = "") {
  const NodeId reporter =
      phase == Phase::kServer ? ServerNode(state.users.at(user).server) : UserNode(user);
  return Step(state, PhaseFinished{reporter, state.round, user, phase, failure});
}

TEST(CoordinatorCore, PlansOnceEveryNodeHasRegistered) {
  CoordinatorState state = StartRound(1, kLayers, {"u0"}, {"s0"});
  EXPECT_EQ(Count<MakePlan>(Step(state, NodeRegistered{ServerNode("s0")})), 0);
  EXPECT_EQ(Count<MakePlan>(Step(state, NodeRegistered{UserNode("u0")})), 1);
  EXPECT_EQ(Step(state, NodeRegistered{UserNode("u0")}).verdict, Verdict::kDuplicate);
}

TEST(CoordinatorCore, TellsTheServerToExpectAUserBeforeTheUserStarts) {
  CoordinatorState state = StartRound(1, kLayers, {"u0"}, {"s0"});
  Step(state, NodeRegistered{ServerNode("s0")});
  Step(state, NodeRegistered{UserNode("u0")});
  const StepResult result = Step(state, PlanMade{{{"u0", "s0", 1}}});
  ASSERT_EQ(result.actions.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<ExpectUser>(result.actions[0]));
  EXPECT_TRUE(std::holds_alternative<StartUser>(result.actions[1]));
}

TEST(CoordinatorCore, CarriesASplitUserThroughAllFivePhasesAndAnAllLocalOneThroughTwo) {
  CoordinatorState state = Planned();
  Finish(state, "u0", Phase::kLocal);
  Finish(state, "u0", Phase::kUpload);
  EXPECT_EQ(Count<CollectResult>(Finish(state, "u0", Phase::kServer)), 1);
  Finish(state, "u0", Phase::kDownload);
  EXPECT_EQ(Count<DropUser>(Finish(state, "u0", Phase::kVerify)), 1);
  EXPECT_EQ(Finish(state, "u1", Phase::kUpload).verdict, Verdict::kOutOfOrder);
  Finish(state, "u1", Phase::kLocal);
  const StepResult last = Finish(state, "u1", Phase::kVerify);
  EXPECT_EQ(Count<DropUser>(last), 0);
  ASSERT_EQ(Count<RoundEnded>(last), 1);
  EXPECT_TRUE(state.AllDone());
}

TEST(CoordinatorCore, AServersReportThatOvertakesTheUploadsIsKeptUntilThatHasCome) {
  CoordinatorState state = Planned();
  EXPECT_EQ(Finish(state, "u0", Phase::kServer).verdict, Verdict::kOutOfOrder);
  Finish(state, "u0", Phase::kLocal);
  const StepResult early = Finish(state, "u0", Phase::kServer);
  EXPECT_EQ(early.verdict, Verdict::kAccepted);
  EXPECT_TRUE(early.actions.empty());
  EXPECT_EQ(Finish(state, "u0", Phase::kServer).verdict, Verdict::kDuplicate);
  EXPECT_EQ(Finish(state, "u0", Phase::kDownload).verdict, Verdict::kOutOfOrder);
  EXPECT_EQ(Count<CollectResult>(Finish(state, "u0", Phase::kUpload)), 1);
  EXPECT_EQ(Finish(state, "u0", Phase::kUpload).verdict, Verdict::kDuplicate);
  EXPECT_EQ(Finish(state, "u0", Phase::kServer).verdict, Verdict::kDuplicate);
  EXPECT_EQ(Finish(state, "u0", Phase::kDownload).verdict, Verdict::kAccepted);
}

TEST(CoordinatorCore, AServersFailureThatOvertakesTheUploadsReportEndsTheUser) {
  CoordinatorState state = Planned();
  Finish(state, "u0", Phase::kLocal);
  EXPECT_EQ(Count<UserEnded>(Finish(state, "u0", Phase::kServer, "no memory")), 1);
  EXPECT_EQ(state.users.at("u0").failure, "server training failed: no memory");
  EXPECT_EQ(Finish(state, "u0", Phase::kUpload).verdict, Verdict::kStale);
}

TEST(CoordinatorCore, AllServerUserBeginsWithTheUpload) {
  CoordinatorState state = Planned(0);
  EXPECT_EQ(Finish(state, "u0", Phase::kLocal).verdict, Verdict::kDuplicate);
  EXPECT_EQ(Finish(state, "u0", Phase::kUpload).verdict, Verdict::kAccepted);
}

TEST(CoordinatorCore, RepeatedStaleEarlyAndForeignReportsChangeNothing) {
  CoordinatorState state = Planned();
  Finish(state, "u0", Phase::kLocal);
  EXPECT_EQ(Finish(state, "u0", Phase::kLocal).verdict, Verdict::kDuplicate);
  EXPECT_EQ(Finish(state, "u0", Phase::kDownload).verdict, Verdict::kOutOfOrder);
  const auto report = [&](NodeId reporter, std::uint32_t round, Phase phase) {
    return Step(state, PhaseFinished{reporter, round, "u0", phase, ""}).verdict;
  };
  EXPECT_EQ(report(UserNode("u0"), 7, Phase::kUpload), Verdict::kStale);
  EXPECT_EQ(report(UserNode("u1"), 1, Phase::kUpload), Verdict::kWrongReporter);
  EXPECT_EQ(report(UserNode("u0"), 1, Phase::kServer), Verdict::kWrongReporter);
  EXPECT_EQ(report(ServerNode("s1"), 1, Phase::kServer), Verdict::kWrongReporter);
  EXPECT_EQ(state.users.at("u0").phase, Phase::kUpload);
}

TEST(CoordinatorCore, ALostUserFailsAloneAndItsServerForgetsIt) {
  CoordinatorState state = Planned();
  Finish(state, "u0", Phase::kLocal);
  const StepResult lost = Step(state, NodeLost{UserNode("u0")});
  EXPECT_EQ(Count<DropUser>(lost), 1);
  EXPECT_EQ(Count<RoundEnded>(lost), 0);
  EXPECT_EQ(state.users.at("u0").failure, "lost during upload");
  EXPECT_EQ(Finish(state, "u0", Phase::kUpload).verdict, Verdict::kStale);
  Finish(state, "u1", Phase::kLocal);
  const StepResult last = Finish(state, "u1", Phase::kVerify);
  ASSERT_EQ(Count<RoundEnded>(last), 1);
  EXPECT_FALSE(state.AllDone());
  EXPECT_EQ(state.users.at("u1").state, UserProgress::State::kDone);
}

TEST(CoordinatorCore, ALostServerTakesOnlyTheUsersThatStillNeedIt) {
  CoordinatorState state = Planned(2, 2);
  for (const Phase phase : {Phase::kLocal, Phase::kUpload, Phase::kServer, Phase::kDownload}) {
    Finish(state, "u1", phase);
  }
  Step(state, NodeLost{ServerNode("s1")});  // u1 has its adapters already.
  EXPECT_EQ(state.users.at("u1").state, UserProgress::State::kRunning);
  Step(state, NodeLost{ServerNode("s0")});
  EXPECT_EQ(state.users.at("u0").failure, "server s0 was lost during local training");
}

TEST(CoordinatorCore, ANodeThatIsMissingOrLostBeforeThePlanEndsTheRound) {
  CoordinatorState late = StartRound(1, kLayers, {"u0", "u1"}, {"s0"});
  Step(late, NodeRegistered{UserNode("u0")});
  EXPECT_EQ(Count<RoundEnded>(Step(late, RegistrationClosed{})), 1);
  EXPECT_EQ(late.users.at("u1").failure, "never registered");

  CoordinatorState lost = StartRound(1, kLayers, {"u0", "u1"}, {"s0"});
  Step(lost, NodeRegistered{UserNode("u0")});
  EXPECT_EQ(Count<RoundEnded>(Step(lost, NodeLost{UserNode("u0")})), 1);
}

TEST(CoordinatorCore, APlanThatDoesNotFitTheRoundIsRefused) {
  CoordinatorState state = StartRound(1, kLayers, {"u0", "u1"}, {"s0"});
  for (const NodeId& node : {UserNode("u0"), UserNode("u1"), ServerNode("s0")}) {
    Step(state, NodeRegistered{node});
  }
  const auto verdict = [&](std::vector<UserPlan> users) {
    return Step(state, PlanMade{std::move(users)}).verdict;
  };
  EXPECT_EQ(verdict({{"u0", "s0", 1}}), Verdict::kUnknown);
  EXPECT_EQ(verdict({{"u0", "s0", 1}, {"u0", "s0", 1}}), Verdict::kUnknown);
  EXPECT_EQ(verdict({{"u0", "s9", 1}, {"u1", "s0", 1}}), Verdict::kUnknown);
  EXPECT_EQ(verdict({{"u0", "s0", kLayers + 1}, {"u1", "s0", 1}}), Verdict::kUnknown);
  EXPECT_EQ(verdict({{"u0", "s0", 1}, {"u1", "s0", 1}}), Verdict::kAccepted);
}

// Any order of any events, most of them nonsense, keeps the state sound: finished users stay
// finished, the round ends exactly once and, once nothing is left to wait for, it has ended.
TEST(CoordinatorCore, EveryRandomOrderOfEventsEndsTheRoundExactlyOnce) {
  const std::vector<std::string> users = {"u0", "u1", "u2"}, servers = {"s0", "s1"};
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    CoordinatorState state = StartRound(1, kLayers, users, servers);
    int ends = 0;
    const auto apply = [&](const Event& event) {
      const std::map<std::string, UserProgress> before = state.users;
      const StepResult result = Step(state, event);
      ends += Count<RoundEnded>(result);
      EXPECT_TRUE(result.verdict == Verdict::kAccepted || result.actions.empty());
      for (const auto& [id, user] : before) {
        if (user.state == UserProgress::State::kDone ||
            user.state == UserProgress::State::kFailed) {
          ASSERT_EQ(state.users.at(id).state, user.state);
        }
      }
    };
    const auto any_node = [&] {
      return rng.Below(2) == 0 ? UserNode(users[rng.Below(3)]) : ServerNode(servers[rng.Below(2)]);
    };
    for (int i = 0; i < 60; ++i) {
      const std::string user = users[rng.Below(3)];
      const auto phase = static_cast<Phase>(rng.Below(5));
      const std::uint64_t kind = rng.Below(100);
      if (kind < 35) {
        apply(NodeRegistered{any_node()});
      } else if (kind < 40) {
        PlanMade plan;
        for (const std::string& id : users) {
          plan.users.push_back({id, servers[rng.Below(2)], static_cast<int>(rng.Below(5))});
        }
        apply(plan);
      } else if (kind < 96) {
        const std::string failure = rng.Below(20) == 0 ? "trouble" : "";
        const NodeId reporter =
            phase == Phase::kServer ? ServerNode(servers[rng.Below(2)]) : UserNode(user);
        apply(PhaseFinished{reporter, rng.Below(10) == 0 ? 2U : 1U, user, phase, failure});
      } else if (kind < 98) {
        apply(NodeLost{any_node()});
      } else {
        apply(PlanFailed{"none"});
      }
    }
    // What the shell guarantees in the end: registration closes, and a silent node is lost.
    apply(RegistrationClosed{});
    if (state.stage == CoordinatorState::Stage::kPlanning) apply(PlanFailed{"none"});
    for (const std::string& id : users) apply(NodeLost{UserNode(id)});
    for (const std::string& id : servers) apply(NodeLost{ServerNode(id)});
    EXPECT_EQ(ends, 1);
    EXPECT_EQ(state.stage, CoordinatorState::Stage::kEnded);
  }
}

}  // namespace
}  // namespace dashf::runtime
