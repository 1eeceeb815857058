#include "certificate/best_bound.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "certificate/verification.h"
#include "scenario/generator.h"

namespace dashf::certificate {
namespace {

// Prices of a study, of which some prove a lower bound than others.
Certificate Prices(const Scenario& scenario, double bandwidth) {
  DeadlineBox box;
  for (const Server& server : scenario.servers) {
    box.servers.push_back({.bandwidth_per_hz = bandwidth / server.bandwidth_hz,
                           .power_per_w = 0.15 / server.tx_power_w_max,
                           .clock_per_hz = 0.9 / server.compute.clock_hz_max,
                           .slot = server.slots ? 0.1 : 0.0});
  }
  return {1.0, {box}};
}

struct Study {
  Scenario scenario = *GenerateStudy(6, 2, {}, Rng(3));
  Certificate good = Prices(scenario, 0.45), worse = Prices(scenario, 4.0);
  Certificate good_proven = *RaiseToProof(scenario, good, 1);
  Certificate worse_proven = *RaiseToProof(scenario, worse, 1);

  Expected<BestBound> Best(const std::optional<Certificate>& stated,
                           const Expected<FoundPrices>& found,
                           double time_limit_s = kNeverS) const {
    return FindBestBound(
        scenario, stated, [&](double) { return found; }, 1, time_limit_s);
  }
};

TEST(BestBound, IsTheLowerOfWhatIsStatedAndWhatIsFound) {
  const Study study;
  ASSERT_LT(study.good_proven.scr_upper, study.worse_proven.scr_upper);
  for (const bool states_the_good : {true, false}) {
    const auto best = study.Best(states_the_good ? study.good_proven : study.worse_proven,
                                 FoundPrices{states_the_good ? study.worse : study.good});
    ASSERT_TRUE(best);
    EXPECT_EQ(best->certificate->scr_upper, study.good_proven.scr_upper);
    EXPECT_EQ(best->stated_kept, states_the_good);
    EXPECT_TRUE(best->in_time && best->stated_left_out.empty());
  }
}

TEST(BestBound, LeavesOutAStatedOneThatProvesNothing) {
  const Study study;
  Certificate tampered = study.good_proven;
  tampered.scr_upper /= 2;
  const auto best = study.Best(tampered, FoundPrices{study.worse});
  ASSERT_TRUE(best);
  EXPECT_EQ(best->certificate->scr_upper, study.worse_proven.scr_upper);
  EXPECT_FALSE(best->stated_left_out.empty() || best->stated_kept);
  tampered.boxes.clear();  // Not even well-formed.
  EXPECT_FALSE(study.Best(tampered, FoundPrices{study.worse})->stated_left_out.empty());
}

TEST(BestBound, KeepsTheStatedOneWhereTheSearchFails) {
  const Study study;
  const Expected<FoundPrices> failed = Fail(ErrorKind::kNumerical, "prices", "no number");
  EXPECT_EQ(study.Best(std::nullopt, failed).error().where, "prices");
  EXPECT_EQ(study.Best(std::nullopt, FoundPrices{}).error().kind, ErrorKind::kNumerical);
  for (const auto& found : {failed, Expected<FoundPrices>(FoundPrices{})}) {
    const auto best = study.Best(study.good_proven, found);
    ASSERT_TRUE(best);
    EXPECT_TRUE(best->stated_kept && best->in_time);
  }
}

TEST(BestBound, IsNoneAndNoErrorWhereTheTimeEnded) {
  const Study study;
  const auto unsearched = study.Best(std::nullopt, FoundPrices{std::nullopt, false});
  ASSERT_TRUE(unsearched);
  EXPECT_FALSE(unsearched->certificate || unsearched->in_time);
  const auto unproven = study.Best(study.good_proven, FoundPrices{study.good}, 0.0);
  ASSERT_TRUE(unproven);
  EXPECT_FALSE(unproven->certificate || unproven->in_time);
  EXPECT_FALSE(unproven->stated_left_out.empty());
}

// A search has its share of the limit, so that there is time to prove what it finds.
TEST(BestBound, GivesTheSearchItsShareOfTheTime) {
  const Study study;
  double given_s = 0.0;
  const auto best = FindBestBound(
      study.scenario,
      std::nullopt,
      [&](double time_limit_s) -> Expected<FoundPrices> {
        given_s = time_limit_s;
        return FoundPrices{study.good};
      },
      1,
      1000.0);
  ASSERT_TRUE(best);
  EXPECT_LE(given_s, 600.0);
  EXPECT_GT(given_s, 500.0);
}

}  // namespace
}  // namespace dashf::certificate
