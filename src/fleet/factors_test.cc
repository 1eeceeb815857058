// What a fleet learns of how long its nodes take, and how long it waits for them.
#include <gtest/gtest.h>

#include "fleet/codec.h"
#include "fleet/step.h"

namespace dashf::fleet {
namespace {

constexpr int kLayers = 4;
constexpr double kTolerance = 1e-12;

// One user and one server, a round after another.
class FleetFactors : public testing::Test {
 protected:
  StepResult Take(const Event& event) { return Step(state_, at_, event); }
  void Begin(const PhaseFactors& assumed = {}) {
    if (state_.users.empty()) {
      Take(Configured{policy_, kLayers, {"u0"}, {"s0"}});
      for (const NodeId& node : {UserNode("u0"), ServerNode("s0")}) Take(Joined{node, 1, "{}"});
    }
    Assignment assignment{
        "u0", "s0", {}, {.local = 2.0, .upload = 1.0, .server = 4.0, .download = 0.5}, ""};
    assignment.decision.local_layers = 2;
    assignment.factors = assumed;
    Take(PlanMade{state_.round->number, state_.round->plan, {assignment}});
  }
  Verdict Finish(Phase phase, double elapsed_s) {
    Measured measured;
    measured.elapsed_s = elapsed_s;
    const Task& task = state_.round->tasks.at("u0");
    return Take(PhaseFinished{
                    .reporter = phase == Phase::kServer ? ServerNode("s0") : UserNode("u0"),
                    .incarnation = 1,
                    .round = state_.round->number,
                    .attempt = task.attempt,
                    .user = "u0",
                    .phase = phase,
                    .failure = "",
                    .measured = measured,
                    .before = {},
                    .after = {}})
        .verdict;
  }
  const NodeFactors& User() const { return state_.users.at("u0").factors; }
  const NodeFactors& Server() const { return state_.servers.at("s0").factors; }

  Policy policy_;
  Millis at_ = 1'000;
  State state_;
};

TEST_F(FleetFactors, AreMeasuredOverPredictedTimesOfWhoDidThePhase) {
  Begin();
  Finish(Phase::kLocal, 4.0);
  Finish(Phase::kUpload, 3.0);
  Finish(Phase::kServer, 2.0);
  Finish(Phase::kDownload, 0.5);
  EXPECT_NEAR(User().compute.Mean(), 2.0, kTolerance);
  EXPECT_NEAR(User().upload.Mean(), 3.0, kTolerance);
  EXPECT_NEAR(User().download.Mean(), 1.0, kTolerance);
  EXPECT_NEAR(Server().compute.Mean(), 0.5, kTolerance);
  EXPECT_EQ(Server().upload.phases, 0U);
}

TEST_F(FleetFactors, HoldAgainstTheProfileWhateverThePlanAssumed) {
  Begin({.local = 2.0, .upload = 3.0, .server = 0.5, .download = 1.0});
  Finish(Phase::kLocal, 2.0);  // As predicted, hence twice what the profile says.
  Finish(Phase::kUpload, 1.0);
  Finish(Phase::kServer, 4.0);
  EXPECT_NEAR(User().compute.Mean(), 2.0, kTolerance);
  EXPECT_NEAR(User().upload.Mean(), 3.0, kTolerance);
  EXPECT_NEAR(Server().compute.Mean(), 0.5, kTolerance);
}

TEST_F(FleetFactors, AreInThePlansSecondsHoweverLongTheyTake) {
  policy_.time_scale = 10.0;
  Begin();
  Finish(Phase::kLocal, 40.0);
  EXPECT_NEAR(User().compute.Mean(), 2.0, kTolerance);
}

TEST_F(FleetFactors, CountAReportOnce) {
  Begin();
  EXPECT_EQ(Finish(Phase::kLocal, 4.0), Verdict::kAccepted);
  EXPECT_EQ(Finish(Phase::kLocal, 4.0), Verdict::kDuplicate);
  EXPECT_EQ(User().compute.phases, 1U);
}

TEST_F(FleetFactors, OfADeviceAreForgottenWhenItSaysOtherwiseWhatItCanDo) {
  Begin();
  Finish(Phase::kLocal, 4.0);
  Finish(Phase::kUpload, 3.0);
  Take(WentAway{UserNode("u0"), 1});
  Take(Joined{UserNode("u0"), 2, "{}"});
  EXPECT_EQ(User().compute.phases, 1U);
  Take(WentAway{UserNode("u0"), 2});
  Take(Joined{UserNode("u0"), 3, "{\"device\": \"another\"}"});
  EXPECT_EQ(User().compute.phases, 0U);
  EXPECT_EQ(User().upload.phases, 1U);
}

TEST_F(FleetFactors, AreInTheSnapshot) {
  Begin({.local = 2.0});
  Finish(Phase::kLocal, 3.0);
  const auto again = StateFromJson(ToJson(state_));
  ASSERT_TRUE(again);
  EXPECT_EQ(ToJson(*again), ToJson(state_));
  EXPECT_EQ(again->users.at("u0").factors.compute.Mean(), User().compute.Mean());
  EXPECT_EQ(again->round->tasks.at("u0").factors.local, 2.0);
}

TEST_F(FleetFactors, AnEmulatedPhaseIsOverdueByItsOwnTime) {
  policy_.time_scale = 10.0;
  policy_.phase_factor = 2.0;
  policy_.phase_slack_s = 1.0;
  Begin();
  EXPECT_EQ(NextDue(state_), at_ + 2 * 10 * 2'000 + 1'000);
}

}  // namespace
}  // namespace dashf::fleet
