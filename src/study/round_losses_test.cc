#include "study/round_losses.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "study/testing.h"

namespace dashf::study {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Two worlds of two users, three rounds, two policies.
class LossesOverRounds : public ::testing::Test {
 protected:
  LossesOverRounds() {
    fs::remove_all(folder_);
    for (const std::uint64_t seed : {1, 2}) {
      users_[seed] = {testing::RandomUser(6, seed), testing::RandomUser(6, seed + 7)};
      jobs_.push_back({seed, "afresh", {{Turn{1}, Turn{1}, Turn{1}}, {Turn{1}, {}, Turn{1}}}});
      jobs_.push_back({seed, "never", {{Turn{1}, Turn{1}, Turn{1}}, {Turn{2}, {}, Turn{2}}}});
    }
  }
  ~LossesOverRounds() override { fs::remove_all(folder_); }

  Expected<LossResults> Open() const {
    return LossResults::Open(folder_ / "losses.jsonl", {{"model", "tiny"}}, after_);
  }
  Expected<Tally> Work(LossResults* results) {
    return CarryOutLosses(model_,
                          jobs_,
                          users_,
                          rounds_,
                          after_,
                          {.out = folder_,
                           .processes = 2,
                           .base_name = "tiny",
                           .stopped = [] { return false; },
                           .progress = [this](const std::string&) { ++ended_; }},
                          results);
  }

  const fs::path folder_ =
      fs::path(::testing::TempDir()) / ("losses-" + std::to_string(::getpid()));
  const train::Model model_ = train::RandomModel(testing::TinyConfig(), 1);
  RoundsOfTurns rounds_{.adapter = testing::TinyAdapter(),
                        .training = {.batch_size = 2, .learning_rate = 1e-2},
                        .examples_per_round = 2.0};
  const std::vector<int> after_ = {0, 1, 3};
  std::vector<LossJob> jobs_;
  std::map<std::uint64_t, std::vector<UserData>> users_;
  int ended_ = 0;
};

TEST_F(LossesOverRounds, AreTheUsersMeanComparedWithinAWorld) {
  auto results = *Open();
  const auto tally = Work(&results);
  ASSERT_TRUE(tally) << tally.error().Text();
  EXPECT_EQ(tally->done, 4);
  const auto rows = *SummariseLosses(jobs_, users_, {"never", "afresh"}, results);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].policy, "never");
  double mean = 0.0, more = 0.0;
  for (const LossJob& job : jobs_) {
    double of_job = 0.0;
    for (std::size_t n = 0; n < 2; ++n) {
      of_job +=
          LossesOver(model_, users_[job.seed][n], job.turns[n], rounds_, {3}, job.seed)->front() /
          2.0;
    }
    if (job.policy == "afresh") mean += of_job / 2.0;
    more += (job.policy == "afresh" ? of_job : -of_job) / 2.0;
  }
  EXPECT_DOUBLE_EQ(rows[1].loss[2].mean, mean);
  EXPECT_NEAR(rows[1].more[2].mean, more, 1e-14);
  EXPECT_EQ(rows[1].more[0].mean, 0.0);  // Nothing is trained yet.
  EXPECT_NE(rows[1].more[2].mean, 0.0);  // The second user's split is another one.
}

TEST_F(LossesOverRounds, GoOnWhereTheyWereAndTakeFurtherJobs) {
  const LossJob last = jobs_.back();
  jobs_.pop_back();
  {
    auto results = *Open();
    EXPECT_EQ(Work(&results)->done, 3);
  }
  jobs_.push_back(last);
  auto results = *Open();
  EXPECT_EQ(Work(&results)->done, 4);
  EXPECT_EQ(ended_, 4);
}

TEST_F(LossesOverRounds, OfOtherPlansOrDataAreRefused) {
  auto results = *Open();
  ASSERT_TRUE(Work(&results));
  users_[2][0] = testing::RandomUser(6, 99);
  EXPECT_THAT(Work(&results).error().Text(), HasSubstr("losses of seed 2, afresh for other plans"));
  users_[2][0] = testing::RandomUser(6, 2);
  EXPECT_TRUE(Work(&results));
  jobs_[1].turns[1][1] = Turn{1};
  EXPECT_THAT(Work(&results).error().Text(), HasSubstr("losses of seed 1, never for other plans"));
}

TEST_F(LossesOverRounds, ATrainingThatDivergesFailsItsJobAlone) {
  // Losses of single examples go up and down, whatever is learnt: any rise counts.
  rounds_.training = {.batch_size = 1, .learning_rate = 1e-9, .explosion_factor = 1.0 + 1e-9};
  rounds_.epochs_user = 4;
  for (auto& turns : jobs_[0].turns) turns.assign(3, std::nullopt);
  auto results = *Open();
  const auto tally = Work(&results);
  ASSERT_TRUE(tally) << tally.error().Text();
  EXPECT_EQ(tally->done, 1);
  EXPECT_EQ(tally->failed, 3);
  const auto rows = *SummariseLosses(jobs_, users_, {"afresh", "never"}, results);
  ASSERT_EQ(rows.size(), 1U);  // Nothing is there of "never".
  EXPECT_EQ(rows[0].loss[2].values, 1);
}

TEST(LossOutcome, IsReadAsItWasWritten) {
  const LossOutcome outcome{7, "penalty=0.1", "ab12", {1.0 / 3.0, 0.25}};
  EXPECT_EQ(*ParseLossOutcome("f:2", WriteLine(outcome)), outcome);
  EXPECT_THAT(ParseLossOutcome("f:2", R"({"seed":1,"policy":"a","sha256":"x","losses":[-1]})")
                  .error()
                  .Text(),
              HasSubstr("f:2: losses[0]"));
}

}  // namespace
}  // namespace dashf::study
