#include "study/turns.h"

#include <gmock/gmock.h>

#include "study/testing.h"
#include "train/evaluate.h"

namespace dashf::study {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Turns = std::vector<std::optional<Turn>>;

class Rounds : public ::testing::Test {
 protected:
  std::vector<double> Losses(const Turns& turns, const std::vector<int>& after) const {
    const auto losses = LossesOver(model_, data_, turns, rounds_, after, 3);
    EXPECT_TRUE(losses) << losses.error().Text();
    return *losses;
  }

  const train::Model model_ = train::RandomModel(testing::TinyConfig(), 5);
  const UserData data_ = testing::RandomUser(12, 8);
  RoundsOfTurns rounds_{.adapter = testing::TinyAdapter(),
                        .training = {.batch_size = 2, .learning_rate = 1e-2},
                        .epochs_user = 2,
                        .epochs_server = 1,
                        .examples_per_round = 4.0};
};

TEST(NearestSplit, KeepsALayerOnEitherSideWhereThePlanDoes) {
  EXPECT_EQ(NearestSplit(0, 16, 5), 0);
  EXPECT_EQ(NearestSplit(1, 16, 5), 1);
  EXPECT_EQ(NearestSplit(8, 16, 4), 2);
  EXPECT_EQ(NearestSplit(15, 16, 5), 4);
  EXPECT_EQ(NearestSplit(16, 16, 5), 5);
  EXPECT_EQ(NearestSplit(3, 16, 1), 0);
  for (int k = 0; k <= 6; ++k) EXPECT_EQ(NearestSplit(k, 6, 6), k);
}

TEST(ExamplesOfTurns, ComeOneAfterTheOtherAndBeginAnewAtTheEnd) {
  const Turns turns = {Turn{1, 0.5}, std::nullopt, Turn{1, 1.0}, Turn{1, 0.01}};
  EXPECT_THAT(ExamplesOfTurns(turns, 4.0, 5),
              ElementsAre(ElementsAre(0, 1), IsEmpty(), ElementsAre(2, 3, 4, 0), ElementsAre(1)));
  EXPECT_THAT(ExamplesOfTurns(Turns{Turn{1, 1.5}}, 4.0, 3), ElementsAre(ElementsAre(0, 1, 2)));
}

TEST_F(Rounds, WithoutATurnLeaveTheLossAsItIs) {
  const double bare = train::Evaluate(model_, nullptr, data_.test)->loss;
  const auto losses = Losses({std::nullopt, Turn{1, 1.0}, std::nullopt}, {0, 1, 2, 3});
  EXPECT_DOUBLE_EQ(losses[0], bare);
  EXPECT_EQ(losses[1], losses[0]);
  EXPECT_NE(losses[2], losses[1]);
  EXPECT_EQ(losses[3], losses[2]);
}

// The phases one after the other, by hand.
TEST_F(Rounds, TrainTheUsersLayersThenTheServersOnTheRoundsExamples) {
  auto adapter = *train::InitialAdapter(model_.config(), rounds_.adapter, 3);
  for (const std::uint64_t round : {0, 1}) {
    const auto begin = data_.train.begin() + static_cast<std::ptrdiff_t>(4 * round);
    const std::vector<corpus::Example> part(begin, begin + 4);
    train::TrainOptions options = rounds_.training;
    options.seed = Rng(3).Stream("round").Stream(round).Next();
    options.epochs = 2;
    ASSERT_TRUE(train::TrainLayers(
        model_, part, 1, 1, train::UserObjective::kEarlyExit, options, &adapter));
    options.epochs = 1;
    ASSERT_TRUE(train::TrainLayers(
        model_, part, 2, 2, train::UserObjective::kFullDepth, options, &adapter));
  }
  EXPECT_EQ(Losses({Turn{1, 1.0}, Turn{1, 1.0}}, {2}).front(),
            train::Evaluate(model_, &adapter, data_.test)->loss);
}

TEST_F(Rounds, AJointPassMovesTheUsersLayersToo) {
  const Turns turns = {Turn{2, 1.0}, Turn{1, 1.0}};
  const double plain = Losses(turns, {2}).front();
  rounds_.epochs_joint = 1;
  EXPECT_EQ(Losses(turns, {1}).front(), Losses({Turn{2, 1.0}}, {1}).front());
  EXPECT_NE(Losses(turns, {2}).front(), plain);
}

TEST_F(Rounds, ADivergedTrainingIsAnError) {
  // Losses of single examples go up and down, whatever is learnt: any rise counts.
  rounds_.training = {.batch_size = 1, .learning_rate = 1e-9, .explosion_factor = 1.0 + 1e-9};
  rounds_.epochs_user = 4;
  const auto losses = LossesOver(model_, data_, Turns{Turn{1, 1.0}}, rounds_, {1}, 3);
  ASSERT_FALSE(losses);
  EXPECT_EQ(losses.error().kind, ErrorKind::kNumerical);
}

}  // namespace
}  // namespace dashf::study
