#include "replanning/policy.h"

#include <gmock/gmock.h>

#include "problem/evaluation.h"
#include "replanning/kept_association.h"
#include "solvers/method.h"
#include "solvers/scr_problem.h"

namespace dashf::replanning {
namespace {

using ::testing::HasSubstr;

WorldSettings Small() {
  WorldSettings settings;
  settings.study.users = 5;
  settings.study.servers = 2;
  settings.rounds = 6;
  return settings;
}
WorldSettings Still() {
  WorldSettings settings = Small();
  settings.rounds = 4;
  settings.walk.speed_m_per_s_min = settings.walk.speed_m_per_s_max = 0.0;
  settings.fading_anew = false;
  settings.data_spread = 0.0;
  settings.users = settings.servers = {.away = 0.0, .back = 0.0};
  return settings;
}

std::vector<RoundOutcome> Followed(const WorldSettings& settings,
                                   const std::string& policy,
                                   std::uint64_t seed = 1,
                                   bool gaps = false) {
  const auto outcomes = Follow(*World::Make(settings, seed),
                               settings.rounds,
                               *ParsePolicy(policy),
                               {.gap_target = 1e-4, .gaps = gaps});
  EXPECT_TRUE(outcomes) << outcomes.error().Text();
  return *outcomes;
}

std::vector<RoundOutcome> WithoutTimes(std::vector<RoundOutcome> rounds) {
  for (RoundOutcome& round : rounds) round.processor_s = 0.0;
  return rounds;
}

TEST(Policies, WhereNothingChangesOfEachIsASinglePlanWithoutHandovers) {
  const WorldSettings settings = Still();
  const Scenario study = *sweep::Generate(settings.study, 1);
  const auto solved = solvers::FindMethod("prices")->solve(study, {});
  const double scr = Evaluate(study, solved->plan).scr;
  for (const char* policy : {"afresh", "standing", "penalty=0.01", "never"}) {
    for (const RoundOutcome& round : Followed(settings, policy)) {
      // Plans and the search for better shares of a plan end within 1e-4 of the best.
      EXPECT_NEAR(round.scr, scr, 1e-4 * scr) << policy;
      EXPECT_EQ(round.handovers, 0) << policy;
      EXPECT_EQ(round.users_planned, 5);
    }
    EXPECT_EQ(Followed(settings, policy)[0].scr, scr) << policy;
  }
}

TEST(Policies, PenaltyOfNothingIsTheStandingPlansSearch) {
  EXPECT_EQ(WithoutTimes(Followed(Small(), "penalty=0")),
            WithoutTimes(Followed(Small(), "standing")));
}

TEST(Policies, FollowFromTheSeed) {
  for (const char* policy : {"afresh", "standing", "never"}) {
    EXPECT_EQ(WithoutTimes(Followed(Small(), policy, 4)),
              WithoutTimes(Followed(Small(), policy, 4)));
  }
}

TEST(Policies, NeverToPlanAnewMovesNobodyWhoseServerIsThere) {
  WorldSettings settings = Small();
  settings.rounds = 40;
  for (const RoundOutcome& round : Followed(settings, "never")) EXPECT_EQ(round.handovers, 0);
}

TEST(Policies, AllServeTheSameUsersInTheSameWorld) {
  const auto afresh = Followed(Small(), "afresh"), never = Followed(Small(), "never");
  for (std::size_t i = 0; i < afresh.size(); ++i) {
    EXPECT_EQ(afresh[i].users, never[i].users);
    EXPECT_EQ(afresh[i].servers, never[i].servers);
    EXPECT_EQ(afresh[i].users_planned, never[i].users_planned);  // Everyone reaches all servers.
  }
}

TEST(Policies, AHighPenaltyMovesFewerUsersThanNone) {
  const auto handovers = [](const char* policy) {
    int sum = 0;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      for (const RoundOutcome& round : Followed(Small(), policy, seed)) sum += round.handovers;
    }
    return sum;
  };
  const int afresh = handovers("afresh");
  EXPECT_GT(afresh, 0);
  EXPECT_LT(handovers("penalty=10"), afresh);
}

TEST(Policies, NoPlanLiesAboveTheBoundThatIsProvenForItsRound) {
  for (const char* policy : {"afresh", "standing", "never"}) {
    for (const RoundOutcome& round : Followed(Small(), policy, 2, true)) {
      ASSERT_TRUE(round.gap.has_value());
      EXPECT_GE(*round.gap, 0.0);
      if (std::string(policy) != "never") {
        EXPECT_LT(*round.gap, 0.02);
      }
    }
  }
}

TEST(Policies, ARoundWithoutServersHasNoPlanAndTheNextOneIsPlannedAgain) {
  WorldSettings settings = Still();
  settings.rounds = 30;
  settings.study.servers = 1;
  settings.servers = {.away = 0.4, .back = 0.4};
  for (const char* policy : {"afresh", "standing", "never"}) {
    int planned = 0;
    for (const RoundOutcome& round : Followed(settings, policy)) {
      EXPECT_EQ(round.users_planned, round.servers * 5);
      planned += round.users_planned > 0;
    }
    EXPECT_GT(planned, 5);
    EXPECT_LT(planned, 25);
  }
}

TEST(Policies, AreNamedOrRefused) {
  EXPECT_EQ(ParsePolicy("penalty=0.25")->handover_penalty, 0.25);
  for (const char* wrong : {"",
                            "sometimes",
                            "penalty",
                            "penalty=",
                            "penalty=-1",
                            "penalty=nan",
                            "penalty=1e",
                            "Never"}) {
    const auto policy = ParsePolicy(wrong);
    ASSERT_FALSE(policy) << wrong;
    EXPECT_EQ(policy.error().kind, ErrorKind::kUsage);
    EXPECT_THAT(policy.error().Text(), HasSubstr("--policies: must be of afresh"));
  }
}

class KeptAssociation : public ::testing::Test {
 protected:
  KeptAssociation() {
    sweep::StudySettings study;
    study.users = 5;
    study.servers = 2;
    scenario_ = *sweep::Generate(study, 1);
    plan_ = solvers::FindMethod("greedy")->solve(scenario_, {})->plan;
    standing_.decisions.assign(plan_.begin(), plan_.end());
    standing_.prices.resize(2);
    standing_.users_kept = 5;
    standing_.servers_kept = 2;
  }
  Scenario scenario_;
  Plan plan_;
  StandingPlan standing_;
};

TEST_F(KeptAssociation, HasTheServersAndSplitsThatStoodWithSharesThatAreNoWorse) {
  const auto kept = PlanWithoutSearch(scenario_, standing_);
  ASSERT_TRUE(kept) << kept.error().Text();
  EXPECT_EQ(solvers::AssociationOf(kept->plan), solvers::AssociationOf(plan_));
  const Evaluation now = Evaluate(kept->scenario, kept->plan);
  EXPECT_TRUE(now.feasible);
  EXPECT_GT(now.scr, Evaluate(scenario_, plan_).scr);  // Greedy's shares are equal ones.
}

TEST_F(KeptAssociation, WhoIsNewIsServedAndMovesNobody) {
  standing_.decisions[2].reset();
  const auto kept = PlanWithoutSearch(scenario_, standing_);
  ASSERT_TRUE(kept) << kept.error().Text();
  ASSERT_EQ(kept->plan.size(), 5U);
  for (std::size_t n = 0; n < 5; ++n) {
    if (n != 2) {
      EXPECT_EQ(kept->plan[n].server, plan_[n].server);
    }
  }
  EXPECT_TRUE(Evaluate(kept->scenario, kept->plan).feasible);
}

TEST_F(KeptAssociation, WhomNoServerTakesWaits) {
  int first = 0;
  for (const Decision& decision : plan_) first += decision.server == 0;
  scenario_.servers[0].slots = first;
  scenario_.servers[1].slots = 5 - first;
  const int full = plan_[2].server;
  std::erase_if(scenario_.links[2], [full](const Link& link) { return link.server != full; });
  --*scenario_.servers[static_cast<std::size_t>(full)].slots;
  standing_.decisions[2].reset();
  const auto kept = PlanWithoutSearch(scenario_, standing_);
  ASSERT_TRUE(kept) << kept.error().Text();
  ASSERT_EQ(kept->plan.size(), 4U);
  EXPECT_EQ(kept->scenario.users[2].id, "u3");
  EXPECT_TRUE(Evaluate(kept->scenario, kept->plan).feasible);
}

}  // namespace
}  // namespace dashf::replanning
