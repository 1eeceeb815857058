// Across modules: on networks unlike the uniform study the price method with the sum of delays ends
// near its bound, and the verifier proves what it knows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "certificate/verification.h"
#include "problem/evaluation.h"
#include "scenario/generator.h"
#include "solvers/exhaustive.h"
#include "solvers/method.h"
#include "solvers/testing.h"

namespace dashf {
namespace {

struct Planned {
  double scr = 0.0;
  double known = 0.0;   // The search's own bound.
  double proven = 0.0;  // What the verifier makes of it.

  double Gap() const { return (proven - scr) / proven; }
};

Planned PlanWithProof(const Scenario& scenario, double gap_target = 1e-4) {
  const auto solved = solvers::FindMethod("prices")->solve(
      scenario, {.gap_target = gap_target, .on_iteration = {}});
  EXPECT_TRUE(solved && solved->certificate);
  if (!solved || !solved->certificate) return {};
  const Evaluation evaluation = Evaluate(scenario, solved->plan);
  EXPECT_TRUE(evaluation.feasible);
  const auto raised = certificate::RaiseToProof(scenario, *solved->certificate, 1);
  EXPECT_TRUE(raised);
  if (!raised) return {};
  const auto verdict = certificate::SafeUpperBound(scenario, *raised, 1);
  EXPECT_TRUE(verdict && verdict->proven);
  EXPECT_GE(raised->scr_upper, evaluation.scr);
  EXPECT_GE(solved->certificate->scr_upper, evaluation.scr * (1.0 - 1e-9));
  return {evaluation.scr, solved->certificate->scr_upper, raised->scr_upper};
}

// Users and servers about the same centres, which are at random in a square: Thomas processes.
Scenario ClusteredScenario(int users, int servers) {
  const Rng rng(3);
  constexpr double kSideM = 6000.0, kUserSpreadM = 250.0, kServerSpreadM = 120.0;
  std::vector<Position> centres;
  Rng draw = rng.Stream("places");
  for (int i = 0; i < servers / 12; ++i) {
    centres.push_back({kSideM * draw.Uniform(), kSideM * draw.Uniform()});
  }
  const auto place = [&](int count, double spread_m) {
    std::vector<Position> places;
    for (int i = 0; i < count; ++i) {
      const Position& at = centres[static_cast<std::size_t>(i) % centres.size()];
      places.push_back({at.x_m + spread_m * draw.Normal(), at.y_m + spread_m * draw.Normal()});
    }
    return places;
  };
  const Geography places{.users = place(users, kUserSpreadM),
                         .servers = place(servers, kServerSpreadM)};
  return GenerateAt(places, 8, {}, rng.Stream("study")).value();
}

void SetSlots(std::optional<int> slots, Scenario* scenario) {
  for (Server& server : scenario->servers) server.slots = slots;
}

// Above 20,000 columns the search keeps those near a user's best: few prices are those of servers
// that everyone in a cluster wants.
TEST(SumFamilies, ClusteredNetworksEndNearTheirBoundAndNoLimitLessIsWorse) {
  Scenario scenario = ClusteredScenario(1300, 320);
  double before = 0.0;
  for (const std::optional<int> slots : {std::optional(5), std::optional<int>()}) {
    SetSlots(slots, &scenario);
    const Planned planned = PlanWithProof(scenario, 1.9e-3);  // Without cases.
    EXPECT_LE(planned.Gap(), 2e-3) << slots.value_or(-1);
    EXPECT_LE(planned.proven, planned.known * (1.0 + 1e-5));
    EXPECT_GE(planned.scr, before * (1.0 - 1e-3)) << slots.value_or(-1);
    before = planned.scr;
  }
}

TEST(SumFamilies, LinksThatNobodyCanUseChangeNothing) {
  for (const double gain : {1e-17, 1e-30}) {
    const Scenario scenario = GenerateStudy(20, 10, {}, Rng(2), 5).value();
    Scenario with = scenario;
    for (std::size_t n = 0; n < with.links.size(); n += 3) {
      for (int m = 0; m < 10; ++m) {
        auto& links = with.links[n];
        const auto at = std::find_if(
            links.begin(), links.end(), [m](const Link& link) { return link.server >= m; });
        if (at == links.end() || at->server != m) links.insert(at, {m, gain});
      }
    }
    const Planned planned = PlanWithProof(with), without = PlanWithProof(scenario);
    EXPECT_GE(planned.scr, without.scr * (1.0 - 1e-4)) << gain;
    EXPECT_LE(planned.Gap(), std::max(5e-4, 2.0 * without.Gap())) << gain;
  }
}

// Where signals are weak the rate is what the power brings, at any bandwidth.
TEST(SumFamilies, WhatIsKnownOfWideNetworksIsProven) {
  for (const double side_m : {1e4, 2e4, 5e4, 1e5}) {
    GeneratorOptions options;
    options.area_side_m = side_m;
    const Planned planned = PlanWithProof(GenerateStudy(10, 2, options, Rng(1)).value());
    EXPECT_LE(planned.Gap(), 2e-4) << side_m;
    EXPECT_LE(planned.proven, planned.known * (1.0 + 1e-5)) << side_m;
  }
}

TEST(SumFamilies, AServerWithoutSlotsIsAsIfItWereNotThere) {
  const Scenario scenario = GenerateStudy(12, 3, {}, Rng(5)).value();
  for (std::size_t m = 0; m < scenario.servers.size(); ++m) {
    Scenario closed = scenario, gone = scenario;
    closed.servers[m].slots = 0;
    for (auto& links : gone.links) {
      std::erase_if(links, [m](const Link& link) { return link.server == static_cast<int>(m); });
    }
    const Planned with = PlanWithProof(closed), without = PlanWithProof(gone);
    EXPECT_NEAR(with.scr, without.scr, 1e-4 * without.scr);
    EXPECT_LE(with.Gap(), 5e-4);
  }
}

// Slower is always cheaper where delay costs nothing: the end is near the supremum, which no plan
// attains.
TEST(SumFamilies, WhereDelayCostsNothingThePlanEndsNearItsBound) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Scenario scenario = GenerateStudy(8, 2, {}, Rng(seed)).value();
    scenario.objective.delay_weight_per_s = 0.0;
    EXPECT_LE(PlanWithProof(scenario).Gap(), 2e-4) << seed;
  }
}

// Whoever trains all layers itself takes nothing of a server, and may as well be on any.
TEST(SumFamilies, FewUsersWhoMayTrainAlonePlanToTheirBound) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    GeneratorOptions options;
    options.all_local_allowed = true;
    EXPECT_LE(PlanWithProof(GenerateStudy(6, 2, options, Rng(seed)).value()).Gap(), 2e-4) << seed;
  }
}

TEST(SumFamilies, AServerThatIsHardlyThereHidesNoOther) {
  for (const double weak : {1e-6, 1e-10}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      Scenario scenario = GenerateStudy(4, 2, {}, Rng(seed)).value();
      SetSlots({}, &scenario);
      Server& server = scenario.servers[seed % 2];
      server.bandwidth_hz *= weak;
      server.tx_power_w_max *= weak;
      server.compute.clock_hz_max *= weak;
      const auto best = solvers::SolveExhaustive(scenario, {.on_iteration = {}});
      ASSERT_TRUE(best);
      const double optimum = Evaluate(scenario, best->plan).scr;
      const Planned planned = PlanWithProof(scenario);
      EXPECT_GE(planned.scr, optimum * (1.0 - 1e-4)) << seed;
      EXPECT_LE(planned.Gap(), 5e-4) << seed;
    }
  }
}

// Something that is odd about a network, drawn from many.
void MakeOdd(Scenario* scenario, Rng* rng) {
  const auto server = [&]() -> Server& {
    return scenario->servers[rng->Below(scenario->servers.size())];
  };
  switch (rng->Below(8)) {
    case 0:
      for (auto& links : scenario->links) {
        for (Link& link : links) {
          if (rng->Below(3) == 0) link.gain *= std::pow(10.0, -rng->Uniform(2.0, 12.0));
        }
      }
      break;
    case 1:
      server().slots = 0;
      break;
    case 2: {
      const auto users = scenario->users.size(), servers = scenario->servers.size();
      SetSlots(static_cast<int>((users + servers - 1) / servers), scenario);
      break;
    }
    case 3: {
      Server& weak = server();
      const double factor = std::pow(10.0, -rng->Uniform(1.0, 10.0));
      weak.bandwidth_hz *= factor;
      weak.tx_power_w_max *= factor;
      weak.compute.clock_hz_max *= factor;
      break;
    }
    case 4:
      scenario->objective.energy_weight_per_j = 0.0;
      break;
    case 5:
      for (User& user : scenario->users) {
        if (rng->Below(2) == 0)
          user.memory_bytes_max = 1e9 * static_cast<double>(1 + rng->Below(3));
      }
      break;
    case 6:
      for (auto& links : scenario->links) {
        for (Link& link : links) link.gain *= 1e-5;
      }
      break;
    default:
      scenario->objective.score_gain *= std::pow(10.0, rng->Uniform(-2.0, 2.0));
      break;
  }
}

TEST(SumFamilies, NoBoundOfAnOddNetworkLiesBelowItsBestPlan) {
  int tried = 0, near = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Rng rng = Rng(seed).Stream("odd");
    Scenario scenario =
        solvers::testing::RandomScenario({.users = 2 + static_cast<int>(rng.Below(3)),
                                          .servers = 1 + static_cast<int>(rng.Below(3)),
                                          .layers = 2,
                                          .all_local_allowed = rng.Below(3) == 0},
                                         rng.Stream("scenario"));
    MakeOdd(&scenario, &rng);
    if (rng.Below(2) == 0) MakeOdd(&scenario, &rng);
    if (!Validate(scenario)) continue;
    const auto best = solvers::SolveExhaustive(scenario, {.on_iteration = {}});
    if (!best) continue;
    SCOPED_TRACE(seed);
    const double optimum = Evaluate(scenario, best->plan).scr;
    const Planned planned = PlanWithProof(scenario);
    ++tried;
    EXPECT_LE(planned.Gap(), 1e-3);
    EXPECT_GE(planned.known, optimum * (1.0 - 1e-7));
    EXPECT_GE(planned.proven, optimum * (1.0 - 1e-12));
    EXPECT_LE(planned.scr, optimum * (1.0 + 1e-5));
    near += planned.Gap() <= 2e-4 && planned.scr >= optimum * (1.0 - 1e-4);
  }
  EXPECT_GT(tried, 90);
  EXPECT_GE(near, tried * 19 / 20);
}

}  // namespace
}  // namespace dashf
