#include "fleet/step.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "fleet/codec.h"
#include "fleet/orders.h"

namespace dashf::fleet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kLayers = 4;

template <class E>
int Count(const StepResult& result) {
  return static_cast<int>(
      std::count_if(result.effects.begin(), result.effects.end(), [](const Effect& effect) {
        return std::holds_alternative<E>(effect);
      }));
}

// Users u0 and u1, servers s0 and s1.
class FleetStep : public testing::Test {
 protected:
  FleetStep() { policy_.grace_s = 10.0; }

  StepResult Take(const Event& event) { return Step(state_, at_, event); }
  StepResult Configure() { return Take(Configured{policy_, kLayers, {"u0", "u1"}, {"s0", "s1"}}); }
  StepResult Join(const NodeId& node, std::uint64_t incarnation = 1) {
    return Take(Joined{node, incarnation, "{}"});
  }
  void JoinAll() {
    Configure();
    for (const NodeId& node :
         {UserNode("u0"), UserNode("u1"), ServerNode("s0"), ServerNode("s1")}) {
      Join(node);
    }
  }
  Assignment To(const std::string& user, const std::string& server, int k) const {
    Assignment assignment{
        user, server, {}, {.local = 2.0, .upload = 1.0, .server = 3.0, .download = 1.0}, ""};
    assignment.decision.local_layers = k;
    return assignment;
  }
  StepResult Plan(std::vector<Assignment> assignments) {
    return Take(PlanMade{state_.round->number, state_.round->plan, std::move(assignments)});
  }
  // u0 splits in the middle on s0, u1 is all-local.
  void Begin(int u0_layers = 2, int u1_layers = kLayers) {
    JoinAll();
    Plan({To("u0", "s0", u0_layers), To("u1", "s1", u1_layers)});
  }
  Task& TaskOf(const std::string& user) { return state_.round->tasks.at(user); }
  StepResult Finish(const std::string& user, Phase phase, const std::string& failure = "") {
    const Task& task = TaskOf(user);
    return Take(PhaseFinished{
        .reporter = phase == Phase::kServer ? ServerNode(task.server) : UserNode(user),
        .incarnation = 1,
        .round = state_.round->number,
        .attempt = task.attempt,
        .user = user,
        .phase = phase,
        .failure = failure,
        .measured = {},
        .before = {},
        .after = {}});
  }
  void Lose(const NodeId& node) {
    Take(WentAway{node, state_.Find(node)->incarnation});
    at_ += 10'000;
    Take(TimePassed{});
  }

  Policy policy_;
  Millis at_ = 1'000;
  State state_;
};

TEST_F(FleetStep, PlansOnceEveryNodeIsHere) {
  Configure();
  EXPECT_EQ(Count<MakePlan>(Join(UserNode("u0"))), 0);
  EXPECT_EQ(Count<MakePlan>(Join(UserNode("u1"))), 0);
  EXPECT_EQ(Count<MakePlan>(Join(ServerNode("s0"))), 0);
  EXPECT_EQ(Count<MakePlan>(Join(ServerNode("s1"))), 1);
  EXPECT_EQ(Join(ServerNode("s1")).verdict, Verdict::kDuplicate);
}

TEST_F(FleetStep, GoesOnWithAQuorumOnceTheOthersHaveBeenWaitedFor) {
  policy_.gather_s = 5.0;
  Configure();
  Join(UserNode("u1"));
  Join(ServerNode("s0"));
  Take(TurnedAway{UserNode("u0"), "another base model"});
  EXPECT_EQ(NextDue(state_), 6'000);
  at_ = 5'999;
  EXPECT_EQ(Count<MakePlan>(Take(TimePassed{})), 0);
  at_ = 6'000;
  EXPECT_EQ(Count<MakePlan>(Take(TimePassed{})), 1);
  EXPECT_EQ(state_.round->absent.at("u0"), "another base model");
  EXPECT_EQ(state_.round->tasks.size(), 1U);
}

TEST_F(FleetStep, GivesARoundUpThatHasNoQuorumByThen) {
  policy_.users_min = 2;
  policy_.give_up_s = 30.0;
  policy_.rounds_max = 1;
  Configure();
  Join(UserNode("u0"));
  Join(ServerNode("s0"));
  at_ = 31'000;
  EXPECT_EQ(Count<RoundEnded>(Take(TimePassed{})), 1);
  EXPECT_THAT(TaskOf("u0").failure, HasSubstr("1 of at least 2 users"));
  EXPECT_TRUE(state_.over);
  policy_.rounds_max = 2;
  Configure();
  EXPECT_FALSE(state_.over) << "there are to be more";
}

TEST_F(FleetStep, CarriesASplitUserThroughAllFivePhasesAndAnAllLocalOneThroughTwo) {
  policy_.rounds_max = 1;
  Begin();
  EXPECT_EQ(OrdersOfUser(state_, "u0").kind, UserOrders::Kind::kWork);
  EXPECT_EQ(OrdersOfServer(state_, "s0").work.size(), 1U);
  EXPECT_THAT(OrdersOfServer(state_, "s1").work, IsEmpty());
  Finish("u0", Phase::kLocal);
  Finish("u0", Phase::kUpload);
  Finish("u0", Phase::kServer);
  EXPECT_EQ(OrdersOfUser(state_, "u0").phase, Phase::kDownload);
  Finish("u0", Phase::kDownload);
  EXPECT_THAT(OrdersOfServer(state_, "s0").work, IsEmpty());
  Finish("u0", Phase::kVerify);
  EXPECT_EQ(Finish("u1", Phase::kUpload).verdict, Verdict::kOutOfOrder);
  Finish("u1", Phase::kLocal);
  EXPECT_EQ(Count<RoundEnded>(Finish("u1", Phase::kVerify)), 1);
  for (const char* user : {"u0", "u1"}) EXPECT_EQ(state_.users.at(user).rounds_done, 1U);
  EXPECT_TRUE(state_.round->Done());
  EXPECT_EQ(OrdersOfUser(state_, "u0").kind, UserOrders::Kind::kLeave);
  EXPECT_TRUE(OrdersOfServer(state_, "s1").leave);
}

TEST_F(FleetStep, AServersReportThatOvertakesTheUploadsIsKeptUntilThatHasCome) {
  Begin();
  EXPECT_EQ(Finish("u0", Phase::kServer).verdict, Verdict::kOutOfOrder);
  Finish("u0", Phase::kLocal);
  EXPECT_EQ(Finish("u0", Phase::kServer).verdict, Verdict::kAccepted);
  EXPECT_EQ(TaskOf("u0").phase, Phase::kUpload);
  EXPECT_EQ(Finish("u0", Phase::kServer).verdict, Verdict::kDuplicate);
  Finish("u0", Phase::kUpload);
  EXPECT_EQ(TaskOf("u0").phase, Phase::kDownload);
}

TEST_F(FleetStep, ARepeatedReportChangesNothingAndAForeignOneIsRefused) {
  Begin();
  Finish("u0", Phase::kLocal);
  const auto before = ToJson(state_);
  EXPECT_EQ(Finish("u0", Phase::kLocal).verdict, Verdict::kDuplicate);
  PhaseFinished report{.reporter = UserNode("u1"),
                       .incarnation = 1,
                       .round = 1,
                       .attempt = 1,
                       .user = "u0",
                       .phase = Phase::kUpload,
                       .failure = "",
                       .measured = {},
                       .before = {},
                       .after = {}};
  EXPECT_EQ(Take(report).verdict, Verdict::kWrongReporter);
  report.reporter = UserNode("u0");
  report.incarnation = 2;
  EXPECT_EQ(Take(report).verdict, Verdict::kWrongReporter);
  report.incarnation = 1;
  report.attempt = 2;
  EXPECT_EQ(Take(report).verdict, Verdict::kOutOfOrder);
  report.attempt = 1;
  report.round = 7;
  EXPECT_EQ(Take(report).verdict, Verdict::kStale);
  report.round = 1;
  report.user = "nobody";
  EXPECT_EQ(Take(report).verdict, Verdict::kUnknown);
  EXPECT_EQ(ToJson(state_), before);
}

TEST_F(FleetStep, AUserThatIsLostFailsAloneAndItsServerForgetsIt) {
  Begin();
  Lose(UserNode("u0"));
  EXPECT_EQ(TaskOf("u0").failure, "lost during local training");
  EXPECT_EQ(TaskOf("u1").state, Task::State::kRunning);
  EXPECT_THAT(OrdersOfServer(state_, "s0").work, IsEmpty());
}

TEST_F(FleetStep, ANodeThatComesBackWithinItsGraceLosesNothing) {
  Begin();
  Take(WentAway{UserNode("u0"), 1});
  at_ += 9'000;
  EXPECT_EQ(Join(UserNode("u0"), 2).verdict, Verdict::kAccepted);
  at_ += 9'000;
  Take(TimePassed{});
  EXPECT_EQ(TaskOf("u0").state, Task::State::kRunning);
}

TEST_F(FleetStep, UsersOfALostServerFinishOnAnotherAndKeepTheLayersTheyHaveTrained) {
  Begin();
  Finish("u0", Phase::kLocal);
  Finish("u0", Phase::kUpload);
  Take(WentAway{ServerNode("s0"), 1});
  at_ += 10'000;
  EXPECT_EQ(Count<MakePlan>(Take(TimePassed{})), 1);
  EXPECT_EQ(TaskOf("u0").state, Task::State::kPending);
  EXPECT_THAT(TaskOf("u0").failed_at, ElementsAre("s0"));
  Plan({To("u0", "s1", 2), To("u1", "s1", kLayers)});
  EXPECT_EQ(TaskOf("u0").attempt, 2);
  EXPECT_EQ(TaskOf("u0").phase, Phase::kUpload);
  EXPECT_EQ(TaskOf("u1").attempt, 1);
  EXPECT_EQ(OrdersOfServer(state_, "s1").work.size(), 1U);
  Finish("u0", Phase::kUpload);
  Finish("u0", Phase::kServer);
  Finish("u0", Phase::kDownload);
  Finish("u0", Phase::kVerify);
  EXPECT_EQ(TaskOf("u0").state, Task::State::kDone);
}

TEST_F(FleetStep, WithoutAnyServerUsersWaitForOneAndNoLongerThanTheGrace) {
  Begin();
  Finish("u0", Phase::kLocal);
  Take(WentAway{ServerNode("s1"), 1});
  Take(WentAway{ServerNode("s0"), 1});
  at_ += 10'000;
  EXPECT_EQ(Count<MakePlan>(Take(TimePassed{})), 0);
  EXPECT_EQ(TaskOf("u0").state, Task::State::kPending);
  State copy = state_;
  EXPECT_EQ(Count<MakePlan>(Step(copy, at_ + 1, Joined{ServerNode("s1"), 2, ""})), 1);
  at_ += 10'000;
  Take(TimePassed{});
  EXPECT_THAT(TaskOf("u0").failure, HasSubstr("no server was there"));
}

TEST_F(FleetStep, TransfersAreTriedAnewUpToTheLimitAndTheUsersOwnFailuresAreNot) {
  policy_.attempts_max = 2;
  policy_.rounds_max = 1;
  Begin(2, 2);
  Finish("u0", Phase::kLocal, "out of memory");
  EXPECT_EQ(TaskOf("u0").failure, "local training failed: out of memory");
  Finish("u1", Phase::kLocal);
  EXPECT_EQ(Count<MakePlan>(Finish("u1", Phase::kUpload, "no space")), 1);
  Plan({To("u1", "s0", 2)});
  EXPECT_EQ(TaskOf("u1").attempt, 2);
  Finish("u1", Phase::kUpload, "no space");
  EXPECT_EQ(TaskOf("u1").state, Task::State::kFailed);
}

TEST_F(FleetStep, APhaseThatIsOverdueIsPlannedAnew) {
  policy_.phase_factor = 2.0;
  policy_.phase_slack_s = 1.0;
  Begin();
  Finish("u0", Phase::kLocal);
  EXPECT_EQ(TaskOf("u0").due, at_ + 3'000);
  at_ += 3'000;
  EXPECT_EQ(NextDue(state_), at_);
  EXPECT_EQ(Count<MakePlan>(Take(TimePassed{})), 1);
  EXPECT_EQ(TaskOf("u0").failure, "upload was overdue");
}

TEST_F(FleetStep, ASecondProcessOfANodeIsRefusedWhileTheFirstIsHere) {
  JoinAll();
  EXPECT_EQ(Join(UserNode("u0"), 2).verdict, Verdict::kOtherAlive);
  Take(WentAway{UserNode("u0"), 1});
  EXPECT_EQ(Join(UserNode("u0"), 2).verdict, Verdict::kAccepted);
  EXPECT_EQ(Take(WentAway{UserNode("u0"), 1}).verdict, Verdict::kStale);
}

TEST_F(FleetStep, AnExcludedNodeTakesNoPartUntilItIsAdmitted) {
  Begin();
  Take(Excluded{ServerNode("s0"), "smokes", "operator/ada"});
  EXPECT_EQ(TaskOf("u0").state, Task::State::kPending);
  EXPECT_EQ(TaskOf("u0").failure,
            "server s0 was excluded by operator/ada (smokes) during local training");
  EXPECT_EQ(Take(Excluded{ServerNode("s0"), "smokes", "operator/ada"}).verdict,
            Verdict::kDuplicate);
  // It may stay and come back. A plan that names it is not taken; the user reaches no other and
  // waits for it.
  Take(WentAway{ServerNode("s0"), 1});
  EXPECT_EQ(Join(ServerNode("s0"), 2).verdict, Verdict::kAccepted);
  EXPECT_EQ(state_.servers.at("s0").refused, "excluded by operator/ada: smokes");
  EXPECT_EQ(Count<MakePlan>(Plan({To("u0", "s0", 2), To("u1", "s1", kLayers)})), 0);
  EXPECT_EQ(TaskOf("u0").attempt, 1);
  EXPECT_EQ(NextDue(state_), at_ + 10'000);
  EXPECT_EQ(Count<MakePlan>(Take(Admitted{ServerNode("s0"), ""})), 1);
  EXPECT_EQ(state_.servers.at("s0").refused, "");
  Plan({To("u0", "s0", 2), To("u1", "s1", kLayers)});
  EXPECT_EQ(TaskOf("u0").attempt, 2);
}

TEST_F(FleetStep, AnExcludedUserEndsAtOnceAndAnAdmittedOneIsTakenIntoTheRoundThatRuns) {
  Configure();
  Take(Excluded{UserNode("u1"), "", ""});
  for (const NodeId& node : {UserNode("u0"), UserNode("u1"), ServerNode("s0"), ServerNode("s1")}) {
    Join(node);
  }
  EXPECT_EQ(state_.round->absent.at("u1"), "excluded: no reason given");
  EXPECT_EQ(OrdersOfUser(state_, "u1").reason, "excluded: no reason given");
  Plan({To("u0", "s0", 2)});
  EXPECT_EQ(Count<MakePlan>(Take(Admitted{UserNode("u1"), "operator/ada"})), 1);
  EXPECT_EQ(TaskOf("u1").state, Task::State::kPending);
  Take(Excluded{UserNode("u0"), "left", "operator/ada"});
  EXPECT_EQ(TaskOf("u0").failure, "was excluded by operator/ada (left) during local training");
  EXPECT_EQ(OrdersOfUser(state_, "u0").kind, UserOrders::Kind::kRest);
  EXPECT_EQ(Take(Excluded{UserNode("u7"), "left", ""}).verdict, Verdict::kUnknown);
  EXPECT_EQ(Take(Excluded{OperatorNode("u0"), "left", ""}).verdict, Verdict::kUnknown);
}

TEST_F(FleetStep, ADrainedNodeEndsWhatItIsAtAndGetsNothingNew) {
  Begin();
  EXPECT_EQ(Take(Drained{ServerNode("s0"), "operator/ada"}).verdict, Verdict::kAccepted);
  EXPECT_EQ(Take(Drained{ServerNode("s0"), "operator/ada"}).verdict, Verdict::kDuplicate);
  Take(Drained{UserNode("u1"), "operator/ada"});
  EXPECT_EQ(OrdersOfServer(state_, "s0").work.size(), 1U);
  for (const Phase phase :
       {Phase::kLocal, Phase::kUpload, Phase::kServer, Phase::kDownload, Phase::kVerify}) {
    EXPECT_EQ(Finish("u0", phase).verdict, Verdict::kAccepted);
  }
  Finish("u1", Phase::kLocal);
  EXPECT_EQ(Count<RoundEnded>(Finish("u1", Phase::kVerify)), 1);
  // The next round waits neither for them nor counts them.
  EXPECT_EQ(state_.round->number, 2U);
  EXPECT_EQ(state_.round->stage, Round::Stage::kPlanning);
  EXPECT_EQ(state_.round->absent.at("u1"), "drained by an operator");
  EXPECT_EQ(Count<MakePlan>(Plan({To("u0", "s0", 2)})), 1);
  EXPECT_EQ(TaskOf("u0").attempt, 0);
  Plan({To("u0", "s1", 2)});
  EXPECT_EQ(TaskOf("u0").attempt, 1);
  // It stays so over a restart of the node, until it is admitted.
  Take(WentAway{UserNode("u1"), 1});
  Join(UserNode("u1"), 2);
  EXPECT_FALSE(state_.round->tasks.contains("u1"));
  Take(Admitted{UserNode("u1"), ""});
  EXPECT_TRUE(state_.round->tasks.contains("u1"));
}

TEST_F(FleetStep, ARoundThatIsAskedForBeginsAtOnceOrAfterTheOneThatRunsAndOnlyOnce) {
  policy_.interval_s = 60.0;
  Begin(kLayers, kLayers);
  EXPECT_EQ(Take(RoundRequested{"operator/ada"}).verdict, Verdict::kAccepted);
  EXPECT_EQ(Take(RoundRequested{"operator/bob"}).verdict, Verdict::kDuplicate);
  const auto finish = [this] {
    for (const char* user : {"u0", "u1"}) {
      Finish(user, Phase::kLocal);
      Finish(user, Phase::kVerify);
    }
  };
  finish();
  EXPECT_EQ(state_.round->number, 2U);
  EXPECT_FALSE(state_.requested);
  Plan({To("u0", "s0", kLayers), To("u1", "s0", kLayers)});
  finish();
  EXPECT_EQ(state_.round->stage, Round::Stage::kEnded);
  EXPECT_EQ(Count<MakePlan>(Take(RoundRequested{"operator/ada"})), 1);
  EXPECT_EQ(state_.round->number, 3U);
  Take(Stopped{"enough", false, "operator/ada"});
  EXPECT_EQ(Take(RoundRequested{"operator/ada"}).verdict, Verdict::kStale);
}

TEST_F(FleetStep, WhoIsSentHomeByAnOperatorHasNotFailed) {
  for (const char* by : {"operator/ada", ""}) {
    state_ = {};
    Begin();
    Take(Stopped{"enough", true, by});
    const UserOrders orders = OrdersOfUser(state_, "u0");
    EXPECT_EQ(orders.kind, UserOrders::Kind::kLeave);
    EXPECT_EQ(orders.success, *by != '\0');
  }
}

TEST_F(FleetStep, RemembersOfARoundWhatCameOfIt) {
  Begin();
  const Millis began = at_;
  at_ += 5'000;
  Take(Excluded{UserNode("u1"), "left", ""});
  const Task& task = TaskOf("u0");
  for (const Phase phase :
       {Phase::kLocal, Phase::kUpload, Phase::kServer, Phase::kDownload, Phase::kVerify}) {
    Take(PhaseFinished{.reporter = phase == Phase::kServer ? ServerNode("s0") : UserNode("u0"),
                       .incarnation = 1,
                       .round = 1,
                       .attempt = task.attempt,
                       .user = "u0",
                       .phase = phase,
                       .failure = "",
                       .measured = {.elapsed_s = 0.5, .cpu_s = {}, .bytes = {}},
                       .before = {},
                       .after = {}});
  }
  ASSERT_EQ(state_.history.size(), 1U);
  const RoundSummary& summary = state_.history.front();
  EXPECT_EQ(summary.number, 1U);
  EXPECT_EQ(summary.began, began);
  EXPECT_EQ(summary.ended, began + 5'000);
  EXPECT_EQ(summary.done, 1U);
  EXPECT_EQ(summary.failed, 1U);
  EXPECT_EQ(summary.absent, 0U);
  EXPECT_EQ(summary.predicted_s, 2.0 + 1.0 + 3.0 + 1.0);
  EXPECT_EQ(summary.measured_s, 4 * 0.5);  // Without the verification, which no plan predicts.
}

TEST_F(FleetStep, RoundsFollowEachOtherAtTheirIntervalOrWhenAskedFor) {
  policy_.interval_s = 60.0;
  Begin(kLayers, kLayers);
  const auto finish = [this] {
    for (const char* user : {"u0", "u1"}) {
      Finish(user, Phase::kLocal);
      Finish(user, Phase::kVerify);
    }
  };
  finish();
  EXPECT_EQ(NextDue(state_), 61'000);
  at_ = 61'000;
  EXPECT_EQ(Count<MakePlan>(Take(TimePassed{})), 1);
  EXPECT_EQ(state_.round->number, 2U);
  policy_.on_request = true;
  Configure();
  Plan({To("u0", "s0", kLayers), To("u1", "s0", kLayers)});
  finish();
  at_ = 500'000;
  EXPECT_EQ(NextDue(state_), std::nullopt);
  EXPECT_EQ(Count<MakePlan>(Take(RoundRequested{""})), 1);
  EXPECT_EQ(state_.round->number, 3U);
  EXPECT_EQ(state_.last->number, 2U);
}

TEST_F(FleetStep, ARoundThatNobodyFinishedIsNotFollowedByTheNextAtOnce) {
  JoinAll();
  Take(PlanFailed{1, 1, "infeasible"});
  EXPECT_EQ(state_.round->stage, Round::Stage::kEnded);
  EXPECT_EQ(NextDue(state_), at_ + 10'000);
}

TEST_F(FleetStep, StoppingEndsTheRoundAtOnceOrLetsItFinish) {
  Begin();
  State drained = state_;
  EXPECT_EQ(Count<RoundEnded>(Take(Stopped{"signal 15", true, ""})), 1);
  EXPECT_EQ(TaskOf("u0").failure, "signal 15");
  EXPECT_EQ(Count<RoundEnded>(Step(drained, at_, Stopped{"drain", false, ""})), 0);
  EXPECT_TRUE(drained.over);
  EXPECT_EQ(OrdersOfUser(drained, "u0").kind, UserOrders::Kind::kWork);
}

TEST_F(FleetStep, APlanThatNobodyAwaitsOrThatNamesNoServerOfTheFleetIsNotTaken) {
  policy_.rounds_max = 1;
  JoinAll();
  EXPECT_EQ(Take(PlanMade{1, 9, {}}).verdict, Verdict::kStale);
  Plan({To("u0", "s7", 1), To("u1", "s1", kLayers + 1)});
  EXPECT_EQ(TaskOf("u0").state, Task::State::kFailed);
  EXPECT_EQ(TaskOf("u1").state, Task::State::kFailed);
}

TEST_F(FleetStep, AUserThatIsTurnedAwayInTheMidstOfItsRoundFailsByThatReasonOnceItIsGone) {
  Begin();
  Take(WentAway{UserNode("u0"), 1});
  Take(TurnedAway{UserNode("u0"), "its certificate is revoked"});
  EXPECT_FALSE(TaskOf("u0").Ended());  // Within its grace another one lets it in again.
  at_ += 10'000;
  Take(TimePassed{});
  EXPECT_EQ(TaskOf("u0").failure, "lost (its certificate is revoked) during local training");
}

TEST_F(FleetStep, OtherSettingsEndARoundThatRunsAndNoneThatHasNotBegun) {
  const auto configure = [this](const std::string& settings) {
    return Take(Configured{policy_, kLayers, {"u0", "u1"}, {"s0", "s1"}, settings});
  };
  configure("a");
  EXPECT_EQ(state_.settings, "a");
  configure("b");  // It gathers.
  EXPECT_EQ(state_.round->stage, Round::Stage::kGathering);
  JoinAll();
  configure("b");
  Plan({To("u0", "s0", 2), To("u1", "s1", kLayers)});
  Finish("u1", Phase::kLocal);
  Finish("u1", Phase::kVerify);
  EXPECT_EQ(Count<RoundEnded>(configure("b")), 0);
  ASSERT_EQ(state_.round->stage, Round::Stage::kRunning);
  const StepResult changed = configure("c");
  ASSERT_EQ(Count<RoundEnded>(changed), 1);
  EXPECT_EQ(state_.settings, "c");
  const RoundSummary& summary = state_.history.back();
  EXPECT_EQ(summary.done, 1U);
  EXPECT_EQ(summary.failed, 1U);
  const auto ended = std::get<RoundEnded>(
      *std::find_if(changed.effects.begin(), changed.effects.end(), [](const Effect& effect) {
        return std::holds_alternative<RoundEnded>(effect);
      }));
  EXPECT_THAT(ended.round->tasks.at("u0").failure, HasSubstr("settings were changed"));
  EXPECT_EQ(ended.round->tasks.at("u1").state, Task::State::kDone);
}

}  // namespace
}  // namespace dashf::fleet
