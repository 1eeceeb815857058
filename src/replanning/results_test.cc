#include "replanning/results.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "replanning/summary.h"

namespace dashf::replanning {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Study : public ::testing::Test {
 protected:
  Study() {
    fs::remove_all(folder_);
    design_.world.study.users = 4;
    design_.world.study.servers = 2;
    design_.world.rounds = 3;
    design_.seeds = {1, 2};
    design_.policies = {*ParsePolicy("afresh"), *ParsePolicy("never")};
  }
  ~Study() override { fs::remove_all(folder_); }

  Results Open() const { return *Results::Open(folder_ / "results.jsonl", design_); }
  // How many jobs were carried out.
  int Work(Results* results) const {
    int count = 0;
    EXPECT_TRUE(WorkOff(
        design_, 2, [&count](std::size_t, std::size_t, const Job&) { ++count; }, results));
    return count;
  }

  const fs::path folder_ = fs::path(::testing::TempDir()) / std::to_string(::getpid());
  Design design_;
};

TEST_F(Study, GoesOnWhereItWasAndTakesMoreSeedsAndPolicies) {
  {
    Results results = Open();
    EXPECT_EQ(Work(&results), 4);
  }
  design_.seeds.push_back(3);
  design_.policies.push_back(*ParsePolicy("standing"));
  Results results = Open();
  EXPECT_EQ(Work(&results), 5);
  EXPECT_EQ(Work(&results), 0);
}

TEST_F(Study, IsRefusedInTheFolderOfAnotherWorld) {
  { Results results = Open(); }
  design_.world.users.away = 0.3;
  const auto other = Results::Open(folder_ / "results.jsonl", design_);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kUsage);
  EXPECT_THAT(other.error().Text(), HasSubstr("leave"));
}

TEST_F(Study, LinesAreReadAsTheyWereWritten) {
  const Job job{7, "penalty=0.5"};
  JobOutcome outcome;
  outcome.rounds = {{.users = 3,
                     .servers = 2,
                     .users_planned = 3,
                     .handovers = 1,
                     .processor_s = 0.1,
                     .scr = 0.3,
                     .score = 1.0 / 3.0,
                     .cost = 2.0,
                     .delay_s = 4.0,
                     .energy_j = 5.0,
                     .layers = 16,
                     .turns = {{"u0", 0, 0.5}, {"u1", 16, 1.0 / 3.0}, {"u3", 7, 1.5}},
                     .gap = 1e-5},
                    {.users = 3, .servers = 0, .gap = {}}};
  EXPECT_EQ(*ParseLine("f:2", WriteLine(job, outcome)), std::pair(job, outcome));
  const JobOutcome failed{"round 2: no plan", {}};
  EXPECT_EQ(*ParseLine("f:2", WriteLine(job, failed)), std::pair(job, failed));
  EXPECT_THAT(
      ParseLine("f:2", R"({"seed":1,"policy":"never","rounds":[{"users":-1}]})").error().Text(),
      HasSubstr("f:2: rounds[0].users"));
}

// Whoever trains what was planned reads the file without knowing what was asked.
TEST_F(Study, RecordHasEveryUsersTurns) {
  design_.world.users = {.away = 0.3, .back = 0.5};
  Results results = Open();
  Work(&results);
  const auto record = ReadRecord(folder_ / "results.jsonl");
  ASSERT_TRUE(record) << record.error().Text();
  EXPECT_EQ(record->rounds, 3);
  ASSERT_EQ(record->outcomes.size(), 4U);
  for (const auto& [job, outcome] : record->outcomes) {
    const World world = *World::Make(design_.world, job.seed);
    for (int round = 0; round < 3; ++round) {
      const RoundOutcome& told = outcome.rounds[static_cast<std::size_t>(round)];
      const WorldRound now = world.At(round);
      EXPECT_EQ(std::ssize(told.turns), told.users_planned);
      for (const Turn& turn : told.turns) {
        EXPECT_EQ(turn.data_part, now.data_part.at(turn.user));
        EXPECT_TRUE(turn.local_layers >= 0 && turn.local_layers <= told.layers);
      }
    }
  }
  EXPECT_EQ(ReadRecord(folder_ / "none.jsonl").error().kind, ErrorKind::kIo);
}

TEST_F(Study, RefusesAPolicyTwiceAndStandingPlansOfTheMakespan) {
  EXPECT_TRUE(design_.Validate());
  design_.policies.push_back(*ParsePolicy("never"));
  EXPECT_THAT(design_.Validate().error().Text(), HasSubstr("never is given twice"));
  design_.policies.back() = *ParsePolicy("standing");
  design_.world.study.options.delay = DelayMode::kMakespan;
  EXPECT_THAT(design_.Validate().error().Text(), HasSubstr("standing needs --delay sum"));
}

TEST_F(Study, BlocksOfRoundsAreAsEqualAsCanBe) {
  EXPECT_THAT(BlockNames(3), ElementsAre("1", "2", "3"));
  const auto names = BlockNames(50);
  EXPECT_EQ(names.size(), 10U);
  EXPECT_EQ(names.front(), "1-5");
  EXPECT_EQ(names.back(), "46-50");
  EXPECT_THAT(BlockEnds(3), ElementsAre(1, 2, 3));
  EXPECT_EQ(BlockEnds(50).back(), 50);
}

// SCR 2, 4 against 1, 4 and nothing: lost (1/2 + 0) / 2. Handovers count from the second round on.
TEST_F(Study, SummaryComparesRoundByRoundWithTheFirstPolicy) {
  design_.seeds = {1};
  const auto round = [](double scr, int handovers) {
    return RoundOutcome{.users = 4,
                        .servers = scr > 0.0 ? 2 : 0,
                        .users_planned = scr > 0.0 ? 4 : 0,
                        .handovers = handovers,
                        .processor_s = 0.5,
                        .scr = scr,
                        .gap = {}};
  };
  Results results = Open();
  ASSERT_TRUE(results.Add({1, "afresh"}, {"", {round(2, 0), round(4, 2), round(0, 0)}}));
  ASSERT_TRUE(results.Add({1, "never"}, {"", {round(1, 0), round(4, 0), round(0, 0)}}));
  const auto rows = Summarise(design_, results);
  EXPECT_DOUBLE_EQ(rows[0].scr.mean, 3.0);
  EXPECT_DOUBLE_EQ(rows[0].scr_lost.mean, 0.0);
  EXPECT_DOUBLE_EQ(rows[0].handovers.mean, 1.0);
  EXPECT_DOUBLE_EQ(rows[1].scr_lost.mean, 0.25);
  EXPECT_DOUBLE_EQ(rows[1].users_planned.mean, 8.0 / 3.0);
  EXPECT_DOUBLE_EQ(rows[1].scr_lost_by_block[0].mean, 0.5);
  EXPECT_EQ(rows[1].scr_lost_by_block[2].values, 0);
  EXPECT_EQ(rows[1].gap.values, 0);
  EXPECT_THAT(SummaryCsv(rows), HasSubstr("never,1,0,2.5,,0.25,,"));
}

TEST_F(Study, APolicyThatFailsIsAResultWithItsReason) {
  design_.seeds = {1};
  Results results = Open();
  ASSERT_TRUE(results.Add({1, "afresh"}, {"round 2: u0: no plan", {}}));
  EXPECT_EQ(Work(&results), 1);
  const auto rows = Summarise(design_, results);
  EXPECT_EQ(rows[0].failed, 1);
  EXPECT_EQ(rows[0].scr.values, 0);
  EXPECT_EQ(rows[1].scr.values, 1);
  EXPECT_EQ(rows[1].scr_lost.values, 0);  // Nothing to be compared with.
}

}  // namespace
}  // namespace dashf::replanning
