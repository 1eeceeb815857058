#include "train/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace dashf::train {
namespace {

constexpr int kDraws = 20000;

// Pearson's statistic of the draws against the probabilities; a token of probability 0 must not
// come at all.
double ChiSquare(const std::vector<float>& logits,
                 const SamplingOptions& options,
                 const std::vector<double>& probabilities) {
  Rng rng(7);
  std::vector<int> counts(logits.size());
  for (int i = 0; i < kDraws; ++i) {
    ++counts[static_cast<std::size_t>(SampleToken(logits, options, &rng).value())];
  }
  double statistic = 0.0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = kDraws * probabilities[i];
    if (expected == 0.0) {
      EXPECT_EQ(counts[i], 0) << "token " << i;
    } else {
      statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
  }
  return statistic;
}

// The 99.9 % quantiles of chi-square with 1, 2 and 3 degrees of freedom (the seed is fixed).
constexpr std::array<double, 4> kQuantile = {0.0, 10.83, 13.82, 16.27};

// Logits ln(4), ln(3), ln(2), ln(1): probabilities 0.4, 0.3, 0.2, 0.1, in an order of their own.
const std::vector<float> kLogits = {std::log(2.0F), std::log(4.0F), 0.0F, std::log(3.0F)};

TEST(Sampling, DrawsFromTheSoftmax) {
  EXPECT_LT(ChiSquare(kLogits, {.temperature = 1.0}, {0.2, 0.4, 0.1, 0.3}), kQuantile[3]);
}

// At temperature 1/2 probabilities are squared: 16, 9, 4, 1 of 30.
TEST(Sampling, TemperatureRaisesProbabilitiesToItsInverse) {
  EXPECT_LT(ChiSquare(kLogits, {.temperature = 0.5}, {4 / 30.0, 16 / 30.0, 1 / 30.0, 9 / 30.0}),
            kQuantile[3]);
}

TEST(Sampling, TopKKeepsTheKMostProbable) {
  EXPECT_LT(ChiSquare(kLogits, {.temperature = 1.0, .top_k = 2}, {0.0, 4 / 7.0, 0.0, 3 / 7.0}),
            kQuantile[1]);
}

// 0.4 + 0.3 is short of 0.75, so 0.2 belongs to the nucleus; 0.1 does not.
TEST(Sampling, TopPKeepsTheSmallestNucleusThatHasTheShare) {
  EXPECT_LT(
      ChiSquare(kLogits, {.temperature = 1.0, .top_p = 0.75}, {2 / 9.0, 4 / 9.0, 0.0, 3 / 9.0}),
      kQuantile[2]);
}

// Of the three that top-k leaves, 4/9 + 3/9 has the share of 0.75, though 0.4 + 0.3 has not.
TEST(Sampling, TopPCountsSharesOfWhatTopKLeaves) {
  EXPECT_LT(
      ChiSquare(
          kLogits, {.temperature = 1.0, .top_k = 3, .top_p = 0.75}, {0.0, 4 / 7.0, 0.0, 3 / 7.0}),
      kQuantile[1]);
}

TEST(Sampling, AtTemperatureZeroOrWithOneCandidateTheMostProbableComes) {
  Rng rng(1);
  for (const SamplingOptions& options : {SamplingOptions{},
                                         SamplingOptions{.temperature = 5.0, .top_k = 1},
                                         SamplingOptions{.temperature = 5.0, .top_p = 1e-9}}) {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(SampleToken(kLogits, options, &rng), 1);
  }
  EXPECT_EQ(SampleToken(std::vector<float>{1.0F, 3.0F, 3.0F}, {}, &rng), 1);
}

TEST(Sampling, LogitsThatAreNoNumbersGiveNoToken) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Rng rng(1);
  EXPECT_EQ(SampleToken(std::vector<float>{0.0F, std::nanf("")}, {}, &rng), std::nullopt);
  EXPECT_EQ(SampleToken(std::vector<float>{-kInfinity, -kInfinity}, {}, &rng), std::nullopt);
  EXPECT_EQ(SampleToken(std::vector<float>{}, {}, &rng), std::nullopt);
  EXPECT_EQ(SampleToken(std::vector<float>{-kInfinity, 0.0F}, {.temperature = 1.0}, &rng), 1);
}

TEST(Sampling, OptionsOutsideTheirRangesAreNamed) {
  EXPECT_TRUE(CheckSampling({.temperature = 0.7, .top_k = 40, .top_p = 0.9}));
  EXPECT_EQ(CheckSampling({.temperature = -1.0}).error().where, "temperature");
  EXPECT_EQ(CheckSampling({.top_k = -1}).error().where, "top-k");
  EXPECT_EQ(CheckSampling({.top_p = 0.0}).error().where, "top-p");
  EXPECT_EQ(CheckSampling({.top_p = std::nan("")}).error().where, "top-p");
}

}  // namespace
}  // namespace dashf::train
