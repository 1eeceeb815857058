#include "train/phase_training.h"

#include <gmock/gmock.h>

#include "train/flop.h"
#include "train/testing.h"
#include "train/trained_parameters.h"

namespace dashf::train {
namespace {

using testing::RandomAdapter;
using testing::RandomExamples;
using testing::TinyConfig;
using testing::TinyModel;

struct User {
  std::vector<corpus::Example> examples;
  Adapter adapter;
  int k = 0;
  TrainOptions options = {};

  Expected<PhaseTraining> Begin(const Model& model) const {
    return PhaseTraining::Begin(
        model, examples, k + 1, model.config().layers, UserObjective::kFullDepth, options, adapter);
  }
};

std::vector<User> ThreeUsers() {
  std::vector<User> users;
  for (int u = 0; u < 3; ++u) {
    const auto seed = static_cast<std::uint64_t>(u);
    User user{RandomExamples(TinyConfig(), 5 + 2 * u, 20 + seed),
              RandomAdapter(TinyConfig(), LoraConfig{.rank = 2}, 3 + seed),
              u};
    user.options.epochs = 2;
    user.options.batch_size = 2;
    user.options.accumulate = 1 + u % 2;
    user.options.seed = seed;
    users.push_back(std::move(user));
  }
  return users;
}

TEST(PhaseTraining, ItsWorkGrowsByEveryPieceInProportionToTokensUpToAllOfIt) {
  const Model model = TinyModel(TinyConfig(), 1);
  for (const User& user : ThreeUsers()) {
    SCOPED_TRACE(user.k);
    const int layers = model.config().layers;
    const PhaseFlop flop = FlopOfLayers(model.config(),
                                        user.adapter.config,
                                        VolumeOf(user.examples, model.config().sliding_window),
                                        user.k + 1,
                                        layers,
                                        UserObjective::kFullDepth);
    const double all = PhaseTraining::FlopOf(model,
                                             user.examples,
                                             user.k + 1,
                                             layers,
                                             UserObjective::kFullDepth,
                                             user.options,
                                             user.adapter);
    EXPECT_DOUBLE_EQ(all, flop.once + 2 * flop.pass);  // Two epochs.
    PhaseTraining training = std::move(*user.Begin(model));
    EXPECT_EQ(training.flop_done(), 0.0);
    const double tokens = VolumeOf(user.examples).tokens;
    for (bool more = true; more;) {
      const double before = training.flop_done();
      more = *training.Advance();
      EXPECT_GT(training.flop_done(), before);
      if (training.steps() == 0) continue;
      const double passes = static_cast<double>(training.state().tokens) / tokens;
      EXPECT_NEAR(training.flop_done(), flop.once + passes * flop.pass, 1e-9 * all);
    }
    EXPECT_EQ(training.flop_done(), all);
  }
}

TEST(PhaseTraining, WhatWasDoneBeforeItWentOnCountsAsDone) {
  const Model model = TinyModel(TinyConfig(), 1);
  User user = ThreeUsers()[2];
  PhaseTraining first = std::move(*user.Begin(model));
  while (first.steps() < 3) ASSERT_TRUE(*first.Advance());
  const TrainingState state = first.state();
  user.options.from = &state;
  PhaseTraining second = std::move(*user.Begin(model));
  EXPECT_GT(second.flop_done(), 0.0);
  EXPECT_LT(second.flop_done(), first.flop_done());  // Its hidden states are to be computed anew.
  ASSERT_TRUE(*second.Advance());
  while (second.steps() < 4) ASSERT_TRUE(second.Advance());
  while (first.steps() < 4) ASSERT_TRUE(first.Advance());
  EXPECT_EQ(second.flop_done(), first.flop_done());
}

TEST(PhaseTraining, PiecesInAnyOrderBetweenUsersGiveTheBytesOfEachAlone) {
  const Model model = TinyModel(TinyConfig(), 1);
  std::vector<User> users = ThreeUsers();
  std::vector<PhaseTraining> trainings;
  for (const User& user : users) trainings.push_back(std::move(*user.Begin(model)));
  Rng rng(5);
  for (std::size_t running = users.size(); running > 0;) {
    running = 0;
    for (PhaseTraining& training : trainings) {  // So many pieces of this one.
      bool more = true;
      for (auto pieces = rng.Below(4); more && pieces > 0; --pieces) more = *training.Advance();
      if (more) ++running;
    }
  }
  for (std::size_t u = 0; u < users.size(); ++u) {
    SCOPED_TRACE(u);
    Adapter together = users[u].adapter, alone = users[u].adapter;
    const PhaseReport report = trainings[u].Finish(&together);
    const auto own =
        TrainServerPhase(model, users[u].examples, users[u].k, users[u].options, &alone);
    ASSERT_TRUE(own);
    EXPECT_EQ(report.losses, own->losses);
    EXPECT_EQ(AllParameters(&together), AllParameters(&alone));
    EXPECT_NE(AllParameters(&together), AllParameters(&users[u].adapter));
  }
}

TEST(PhaseTraining, HiddenStatesAreComputedInPiecesBeforeTheFirstStep) {
  const Model model = TinyModel(TinyConfig(), 1);
  const User user = ThreeUsers()[1];  // 7 examples, batches of 2, two of them per step.
  auto training = *user.Begin(model);
  for (int batch = 0; batch < 4; ++batch) {
    EXPECT_TRUE(*training.Advance());
    EXPECT_EQ(training.steps(), 0);
  }
  EXPECT_TRUE(*training.Advance());
  EXPECT_EQ(training.steps(), 1);
  EXPECT_GT(training.cpu_s(), 0.0);
}

TEST(PhaseTraining, OneThatTrainsNoLayerIsOverAtOnce) {
  const Model model = TinyModel(TinyConfig(), 1);
  User user = ThreeUsers()[0];
  user.k = TinyConfig().layers;
  auto training = *user.Begin(model);
  EXPECT_FALSE(*training.Advance());
  Adapter after = user.adapter;
  EXPECT_EQ(training.Finish(&after).steps, 0);
  EXPECT_EQ(after, user.adapter);
}

}  // namespace
}  // namespace dashf::train
