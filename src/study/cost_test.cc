#include "study/cost.h"

#include <gmock/gmock.h>

#include "study/testing.h"

namespace dashf::study {
namespace {

using testing::TinyAdapter;
using testing::TinyConfig;
using train::UserObjective;

// 10 tokens in two examples of 4 and 6, of which 3 are answers: 10 + 21 pairs.
const train::Volume kVolume =
    train::VolumeOf({corpus::Example({1, 2, 3, 4}, 3), corpus::Example({1, 2, 3, 4, 5, 6}, 4)});

// By hand, of a layer of the tiny model (d = 8, two query heads and one key head of 4, 12 wide):
// weights 8 x 8 (q) + 2 x 8 x 4 (k, v) + 8 x 8 (o) + 3 x 8 x 12 = 480, factors 2 (8 + 8) + 2 (8 +
// 4) = 56.
constexpr double kFrozen = 2.0 * 10 * 480;
constexpr double kFactors = 2.0 * 10 * 56;
constexpr double kPairs = 4.0 * 31 * 2 * 4;
constexpr double kForward = kFrozen + kFactors + kPairs;
constexpr double kTrained = kForward + kFrozen + 2 * kFactors + 2 * kPairs;
constexpr double kPassedThrough = kForward + kFrozen + kFactors + 2 * kPairs;
constexpr double kHead = 2 * (2.0 * 3 * 8 * 19);

SiteFlop Flop(const Phase& phase) {
  return FlopOf(TinyConfig(), TinyAdapter(), kVolume, 4, {phase});
}

TEST(Cost, TheVolumeCountsTokensPairsAndAnswers) {
  EXPECT_EQ(kVolume.tokens, 10);
  EXPECT_EQ(kVolume.pairs, 31);
  EXPECT_EQ(kVolume.answers, 3);
}

TEST(Cost, FlopAreThoseCountedByHand) {
  // Two passes of four steps each.
  const SiteFlop exit = Flop({Site::kUser, 1, UserObjective::kEarlyExit, 8});
  EXPECT_DOUBLE_EQ(exit.user, 2 * (kTrained + kHead));
  EXPECT_EQ(exit.server, 0);
  const SiteFlop deep = Flop({Site::kUser, 1, UserObjective::kFullDepth, 8});
  EXPECT_DOUBLE_EQ(deep.user, 2 * (kTrained + kPassedThrough + kHead));
  // The frozen layer once, whatever the number of passes.
  const SiteFlop server = Flop({Site::kServer, 1, UserObjective::kFullDepth, 8});
  EXPECT_DOUBLE_EQ(server.server, kForward + 2 * (kTrained + kHead));
  // Half a pass.
  const SiteFlop all = Flop({Site::kServer, 0, UserObjective::kFullDepth, 2});
  EXPECT_DOUBLE_EQ(all.server, 0.5 * (2 * kTrained + kHead));
}

const std::vector<double> kLayerBytes = {1.0, 10.0, 100.0};

Traffic Bytes(const std::vector<Phase>& phases) {
  return TrafficOf(phases, kLayerBytes, 1000.0);
}

TEST(Cost, ARoundSendsTheDataAndTheFirstLayersAndBringsTheRest) {
  const Traffic round = Bytes({{Site::kUser, 2, UserObjective::kEarlyExit, 5},
                               {Site::kServer, 2, UserObjective::kFullDepth, 5}});
  EXPECT_EQ(round.up_bytes, 1011.0);
  EXPECT_EQ(round.down_bytes, 100.0);
}

TEST(Cost, AllLocalSendsNothing) {
  const Traffic local = Bytes({{Site::kUser, 3, UserObjective::kFullDepth, 5}});
  EXPECT_EQ(local.up_bytes + local.down_bytes, 0.0);
}

// Only the full-depth loss needs the server's layers before the end; the data travel once.
TEST(Cost, SeveralRoundsBringBackWhatTheNextPhaseNeeds) {
  const auto rounds = [](UserObjective objective) {
    const Phase user{Site::kUser, 1, objective, 5};
    const Phase server{Site::kServer, 1, UserObjective::kFullDepth, 5};
    return Bytes({user, server, user, server});
  };
  EXPECT_EQ(rounds(UserObjective::kEarlyExit).up_bytes, 1002.0);
  EXPECT_EQ(rounds(UserObjective::kEarlyExit).down_bytes, 110.0);
  EXPECT_EQ(rounds(UserObjective::kFullDepth).up_bytes, 1002.0);
  EXPECT_EQ(rounds(UserObjective::kFullDepth).down_bytes, 220.0);
}

TEST(Cost, WhatTheServerTrainedOfTheUsersLayersComesBack) {
  const Traffic joint = Bytes({{Site::kUser, 2, UserObjective::kEarlyExit, 5},
                               {Site::kServer, 2, UserObjective::kFullDepth, 5},
                               {Site::kServer, 0, UserObjective::kFullDepth, 1}});
  EXPECT_EQ(joint.up_bytes, 1011.0);
  EXPECT_EQ(joint.down_bytes, 111.0);
}

}  // namespace
}  // namespace dashf::study
