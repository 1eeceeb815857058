#include "certificate/verification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/rng.h"
#include "scenario/generator.h"

namespace dashf::certificate {
namespace {

using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Scenario Study(int users, int servers, DelayMode delay, std::uint64_t seed = 3) {
  GeneratorOptions options;
  options.delay = delay;
  return *GenerateStudy(users, servers, options, Rng(seed));
}

DeadlineBox SomeBox(const Scenario& scenario) {
  DeadlineBox box;
  const double crowd =
      static_cast<double>(scenario.users.size()) / static_cast<double>(scenario.servers.size());
  for (const Server& server : scenario.servers) {
    box.servers.push_back({.bandwidth_per_hz = 0.15 * crowd / server.bandwidth_hz,
                           .power_per_w = 0.05 * crowd / server.tx_power_w_max,
                           .clock_per_hz = 0.3 * crowd / server.compute.clock_hz_max,
                           .slot = server.slots ? 0.1 : 0.0});
  }
  if (scenario.objective.delay == DelayMode::kMakespan) {
    const double weight =
        0.9 * scenario.objective.delay_weight_per_s / static_cast<double>(scenario.users.size());
    box.user_phase_weight_per_s.assign(scenario.users.size(), weight);
    box.server_phase_weight_per_s.assign(scenario.users.size(), weight);
  }
  return box;
}

TEST(Certificate, IsProvenFromTheRaisedRatioOnAndNotMuchBelowIt) {
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    const Scenario scenario = Study(6, 2, delay);
    Certificate certificate{1e-3, {SomeBox(scenario)}};
    const auto raised = RaiseToProof(scenario, certificate, 1);
    ASSERT_TRUE(raised) << raised.error().Text();
    for (const auto& [factor, proven] : {std::pair(1.0, true), {1.1, true}, {1.0 - 1e-5, false}}) {
      certificate.scr_upper = raised->scr_upper * factor;
      const auto verdict = SafeUpperBound(scenario, certificate, 1);
      ASSERT_TRUE(verdict);
      EXPECT_EQ(verdict->proven, proven) << factor;
      EXPECT_EQ(verdict->boxes[0].excess <= 0.0, proven);
      EXPECT_EQ(verdict->reason.empty(), proven);
    }
  }
}

// Whatever the limit ends, what is returned is proven, and the finer proof where it was ended at
// last.
TEST(Certificate, IsProvenByWhateverTimeThereIs) {
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    const Scenario scenario = Study(12, 3, delay);
    Certificate certificate{1.0, {SomeBox(scenario)}};
    if (delay == DelayMode::kMakespan) {
      certificate.boxes.push_back(SomeBox(scenario));
      certificate.boxes[0].user_phase_s_max = certificate.boxes[1].user_phase_s_min = 100.0;
    }
    const double best = RaiseToProof(scenario, certificate, 1)->scr_upper;
    EXPECT_FALSE(RaiseToProof(scenario, certificate, {1, 0.0}));
    int found = 0;
    for (double limit_s = 1e-4; limit_s < 100.0; limit_s *= 1.7) {
      const auto raised = RaiseToProof(scenario, certificate, {2, limit_s});
      if (!raised) continue;
      ++found;
      EXPECT_TRUE(SafeUpperBound(scenario, *raised, 2)->proven) << limit_s;
      EXPECT_GE(raised->scr_upper, best * (1.0 - 1e-5)) << limit_s;
      if (limit_s > 30.0) {
        EXPECT_LE(raised->scr_upper, best * (1.0 + 1e-5)) << limit_s;
      }
    }
    EXPECT_GT(found, 0);
  }
}

TEST(Certificate, IsNeitherProvenNorRefusedWithoutTime) {
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    const Scenario scenario = Study(6, 2, delay);
    const auto raised = RaiseToProof(scenario, {1.0, {SomeBox(scenario)}}, 1);
    ASSERT_TRUE(raised) << raised.error().Text();
    const auto late = SafeUpperBound(scenario, *raised, {1, -1.0});
    ASSERT_TRUE(late);
    EXPECT_FALSE(late->proven);
    EXPECT_FALSE(late->in_time);
    EXPECT_THAT(late->reason, HasSubstr("neither proven nor refused"));
    const auto early = SafeUpperBound(scenario, *raised, {1, 1000.0});
    EXPECT_TRUE(early->proven && early->in_time);
  }
}

TEST(Certificate, IsTheSameForEveryNumberOfThreads) {
  const Scenario scenario = Study(70, 3, DelayMode::kSum);
  const Certificate certificate{1.5, {SomeBox(scenario)}};
  const double excess = SafeUpperBound(scenario, certificate, 1)->boxes[0].excess;
  for (const int threads : {2, 5}) {
    EXPECT_EQ(SafeUpperBound(scenario, certificate, threads)->boxes[0].excess, excess);
  }
}

TEST(Certificate, ExcludesABoxNoUserCanMeet) {
  const Scenario scenario = Study(4, 2, DelayMode::kMakespan);
  Certificate certificate{1e-12, {SomeBox(scenario), SomeBox(scenario)}};
  certificate.boxes[0].user_phase_s_max = certificate.boxes[1].user_phase_s_min = 1e-9;
  const auto verdict = SafeUpperBound(scenario, certificate, 1);
  ASSERT_TRUE(verdict) << verdict.error().Text();
  EXPECT_EQ(verdict->boxes[0].excess, -kInfinity);
  EXPECT_GT(verdict->boxes[1].excess, 0.0);
  EXPECT_FALSE(verdict->proven);
}

TEST(Certificate, WithWeightsAboveTheDelaysOwnNeedsAFiniteBox) {
  const Scenario scenario = Study(4, 2, DelayMode::kMakespan);
  Certificate certificate{5.0, {SomeBox(scenario)}};
  for (double& weight : certificate.boxes[0].user_phase_weight_per_s) weight *= 2.0;
  EXPECT_EQ(SafeUpperBound(scenario, certificate, 1)->boxes[0].excess, kInfinity);
  certificate.boxes.push_back(SomeBox(scenario));
  certificate.boxes[0].user_phase_s_max = certificate.boxes[1].user_phase_s_min = 100.0;
  EXPECT_LT(SafeUpperBound(scenario, certificate, 1)->boxes[0].excess, kInfinity);
}

// What overflows on its safe side is beyond the largest double, and no reason to prove nothing.
TEST(Certificate, LeavesOutRowsThatCostMoreThanADoubleHolds) {
  for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
    Scenario scenario = Study(4, 2, delay);
    const Certificate certificate{1.0, {SomeBox(scenario)}};
    const auto ordinary = RaiseToProof(scenario, certificate, 1);
    ASSERT_TRUE(ordinary) << ordinary.error().Text();
    scenario.users[0].compute.clock_hz_max = 1e-300;  // It cannot train any layer itself.
    const auto raised = RaiseToProof(scenario, certificate, 1);
    ASSERT_TRUE(raised) << raised.error().Text();
    EXPECT_LE(raised->scr_upper, ordinary->scr_upper * (1.0 + 1e-5));
    EXPECT_TRUE(SafeUpperBound(scenario, *raised, 1)->proven);
  }
}

TEST(Certificate, ThatIsMalformedIsRefused) {
  const struct {
    std::function<void(Certificate&)> change;
    const char* text;
  } cases[] = {
      {[](Certificate& c) { c.scr_upper = 0.0; }, "bound.scr_upper: must be a number > 0"},
      {[](Certificate& c) { c.scr_upper = std::nan(""); }, "bound.scr_upper"},
      {[](Certificate& c) { c.scr_upper = kInfinity; }, "bound.scr_upper"},
      {[](Certificate& c) { c.scr_upper = 1e308; },
       "bound.scr_upper: must be a number > 0, at most"},
      {[](Certificate& c) { c.boxes.clear(); }, "must cover"},
      {[](Certificate& c) { c.boxes[0].servers.pop_back(); }, "prices: must have 2 entries"},
      {[](Certificate& c) { c.boxes[1].servers[0].power_per_w = -1e-9; }, "boxes[1].prices"},
      {[](Certificate& c) { c.boxes[1].servers[0].clock_per_hz = std::nan(""); }, "prices"},
      {[](Certificate& c) { c.boxes[1].servers[0].slot = 0.5; }, "no slot limit"},
      {[](Certificate& c) { c.boxes[0].user_phase_weight_per_s[1] = -0.1; }, "weight_per_s[1]"},
      {[](Certificate& c) { c.boxes[0].server_phase_weight_per_s.clear(); }, "4 entries, not 0"},
      {[](Certificate& c) { c.boxes[0].user_phase_s_min = -1.0; }, "0 <= min < max"},
      {[](Certificate& c) { c.boxes[0].user_phase_s_max = 9.0; }, "just above 9 "},
      {[](Certificate& c) { c.boxes[1].server_phase_s_max = 50.0; }, "just above 50"},
      {[](Certificate& c) { c.boxes.pop_back(); }, "just above 10 "}};
  Scenario scenario = Study(4, 2, DelayMode::kMakespan);
  for (Server& server : scenario.servers) server.slots.reset();
  Certificate good{1.0, {SomeBox(scenario), SomeBox(scenario)}};
  good.boxes[0].user_phase_s_max = good.boxes[1].user_phase_s_min = 10.0;
  ASSERT_TRUE(SafeUpperBound(scenario, good, 1));
  for (const auto& bad : cases) {
    Certificate certificate = good;
    bad.change(certificate);
    const auto verdict = SafeUpperBound(scenario, certificate, 1);
    ASSERT_FALSE(verdict) << bad.text;
    EXPECT_EQ(verdict.error().kind, ErrorKind::kBadInput);
    EXPECT_THAT(verdict.error().Text(), HasSubstr(bad.text));
    EXPECT_FALSE(RaiseToProof(scenario, certificate, 1));
  }
}

TEST(Certificate, HasOneBoxWithTheSumOfDelays) {
  const Scenario scenario = Study(3, 2, DelayMode::kSum);
  const Certificate certificate{1.0, {SomeBox(scenario), SomeBox(scenario)}};
  EXPECT_FALSE(SafeUpperBound(scenario, certificate, 1));
}

}  // namespace
}  // namespace dashf::certificate
