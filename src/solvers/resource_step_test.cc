#include "solvers/resource_step.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "problem/evaluation.h"
#include "solvers/testing.h"

namespace dashf::solvers {
namespace {

constexpr DelayMode kModes[] = {DelayMode::kSum, DelayMode::kMakespan};

// Any admissible association; splits and servers uniform. Only server 0 has no slots limit.
Association RandomAssociation(const ScrProblem& problem, Rng rng) {
  Association association;
  for (std::size_t n = 0; n < problem.tx_power_w_max.size(); ++n) {
    const auto links =
        static_cast<std::uint64_t>(problem.link_begin[n + 1] - problem.link_begin[n]);
    const auto splits =
        static_cast<std::uint64_t>(problem.split_begin[n + 1] - problem.split_begin[n]);
    const auto link = static_cast<std::size_t>(problem.link_begin[n]) + rng.Below(links);
    const auto split = static_cast<std::size_t>(problem.split_begin[n]) + rng.Below(splits);
    association.push_back({problem.link_server[link], problem.split_layers[split]});
  }
  if (!IsAdmissible(problem, association)) {
    for (Choice& choice : association) choice.server = 0;
  }
  return association;
}

// score - y cost by the independent evaluator; -infinity where a limit is broken.
double Objective(const Scenario& scenario, const Plan& plan, double y) {
  const Evaluation evaluation = Evaluate(scenario, plan);
  if (!evaluation.feasible) return -std::numeric_limits<double>::infinity();
  return evaluation.score - y * evaluation.cost;
}

double EqualSharesScr(const ScrProblem& problem, const Association& association) {
  return TotalsOf(problem, EqualShares(problem, association)).Scr();
}

TEST(PlannersTotals, AreTheIndependentEvaluatorsOwn) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const Scenario scenario = testing::RandomScenario(
        {.delay = kModes[seed % 2], .all_local_allowed = true, .corners = true}, Rng(seed));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Plan plan = EqualShares(problem, RandomAssociation(problem, Rng(seed).Stream("pick")));
    const PlanTotals totals = TotalsOf(problem, plan);
    const Evaluation evaluation = Evaluate(scenario, plan);
    ASSERT_TRUE(evaluation.feasible) << "seed " << seed;
    EXPECT_NEAR(totals.score, evaluation.score, 1e-12 * (1 + evaluation.score));
    EXPECT_NEAR(totals.cost / evaluation.cost, 1.0, 1e-12);
    EXPECT_NEAR(totals.delay_s / evaluation.delay_s, 1.0, 1e-12);
    EXPECT_NEAR(totals.energy_j, evaluation.energy_j, 1e-12 * (1 + evaluation.energy_j));
  }
}

TEST(ResourceStep, IsFeasibleAndNeverWorseThanItsStartOnCornersOfTheModel) {
  int converged = 0, tried = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    const Scenario scenario = testing::RandomScenario({.users = 1 + static_cast<int>(seed % 7),
                                                       .delay = kModes[seed % 2],
                                                       .all_local_allowed = seed % 3 != 0,
                                                       .corners = true},
                                                      Rng(seed));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Association association = RandomAssociation(problem, Rng(seed).Stream("pick"));
    const Plan equal = EqualShares(problem, association);
    const double scr = EqualSharesScr(problem, association);
    for (const double factor : {0.0, 0.1, 1.0, 10.0, 1e4}) {
      const double y = factor * scr;
      const ResourceResult cold = AllocateResources(problem, association, y);
      const ResourceResult warm = AllocateResources(problem, association, 1.1 * y, &cold.plan);
      EXPECT_GE(Objective(scenario, cold.plan, y), Objective(scenario, equal, y) - 1e-9)
          << "seed " << seed << " y " << y;
      EXPECT_GE(Objective(scenario, warm.plan, 1.1 * y),
                Objective(scenario, cold.plan, 1.1 * y) - 1e-9)
          << "seed " << seed << " y " << y;
      EXPECT_EQ(AssociationOf(cold.plan), association);
      ++tried;
      converged += cold.termination == Termination::kConverged;
    }
  }
  EXPECT_EQ(converged, tried);
}

TEST(ResourceStep, GrantsNothingThatASplitDoesNotUse) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Scenario scenario = testing::RandomScenario(
        {.delay = kModes[seed % 2], .all_local_allowed = true, .corners = true}, Rng(seed));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Association association = RandomAssociation(problem, Rng(seed).Stream("pick"));
    const Plan plan =
        AllocateResources(problem, association, EqualSharesScr(problem, association)).plan;
    for (std::size_t n = 0; n < plan.size(); ++n) {
      const SplitProfile& table = scenario.ProfileOf(scenario.users[n]);
      const auto k = static_cast<std::size_t>(plan[n].local_layers);
      const double up = table.upload_bit[k], down = table.download_bit[k];
      EXPECT_EQ(plan[n].local_clock_hz > 0.0, table.local_flop[k] > 0.0);
      EXPECT_EQ(plan[n].tx_power_w > 0.0, up > 0.0);
      EXPECT_EQ(plan[n].bandwidth_hz > 0.0, up + down > 0.0);
      EXPECT_EQ(plan[n].server_tx_power_w > 0.0, down > 0.0);
      EXPECT_EQ(plan[n].server_clock_hz > 0.0, table.server_flop[k] > 0.0);
    }
  }
}

// Decisions from free numbers: shares by a softmax that leaves a rest, p and f by a logistic.
Plan PlanFrom(const ScrProblem& problem,
              const Association& association,
              const std::vector<double>& u) {
  const std::size_t users = association.size();
  Plan plan(users);
  std::vector<std::vector<double>> sum(problem.server_slots.size(), std::vector<double>(3, 1e-9));
  for (std::size_t n = 0; n < users; ++n) {
    for (std::size_t i = 0; i < 3; ++i) {
      sum[static_cast<std::size_t>(association[n].server)][i] += std::exp(u[5 * n + i]);
    }
  }
  for (std::size_t n = 0; n < users; ++n) {
    const auto m = static_cast<std::size_t>(association[n].server);
    const auto share = [&](std::size_t i) {
      return std::exp(u[5 * n + i]) / std::max(1.0, sum[m][i]);
    };
    const auto logistic = [&](std::size_t i) { return 1.0 / (1.0 + std::exp(-u[5 * n + i])); };
    plan[n] = {association[n].server,
               association[n].local_layers,
               problem.clock_hz_max[n] * logistic(3),
               problem.tx_power_w_max[n] * logistic(4),
               problem.server_bandwidth_hz[m] * share(0),
               problem.server_tx_power_w_max[m] * share(1),
               problem.server_clock_hz_max[m] * share(2)};
  }
  return plan;
}

// An independent optimiser that knows nothing but the evaluator: a (1+1) evolution strategy with
// the one-fifth rule. Slow and rough, but it cannot share a mistake with the resource step.
double EvolvedObjective(const Scenario& scenario,
                        const ScrProblem& problem,
                        const Association& association,
                        double y,
                        Rng rng) {
  std::vector<double> best(5 * association.size());
  for (double& v : best) v = rng.Uniform(-2.0, 0.5);
  double value = Objective(scenario, PlanFrom(problem, association, best), y), size = 0.5;
  for (int step = 0; step < 8000; ++step) {
    std::vector<double> trial = best;
    for (double& v : trial) v += rng.Below(2) == 0 ? size * rng.Normal() : 0.0;
    const double trial_value = Objective(scenario, PlanFrom(problem, association, trial), y);
    const bool better = trial_value > value;
    size = std::clamp(size * (better ? 1.5 : 0.93), 1e-7, 2.0);
    if (!better) continue;
    best = trial;
    value = trial_value;
  }
  return value;
}

TEST(ResourceStep, IsNotBeatenByAnIndependentOptimiserAndMeetsIt) {
  int met = 0;
  constexpr int kInstances = 40;
  for (std::uint64_t seed = 1; seed <= kInstances; ++seed) {
    const Scenario scenario = testing::RandomScenario(
        {.users = 2 + static_cast<int>(seed % 2), .servers = 1, .delay = kModes[seed % 2]},
        Rng(seed));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Association association = RandomAssociation(problem, Rng(seed).Stream("pick"));
    const double y = EqualSharesScr(problem, association);
    const double found = Objective(scenario, AllocateResources(problem, association, y).plan, y);
    const double scale = TotalsOf(problem, EqualShares(problem, association)).score;
    double evolved = -std::numeric_limits<double>::infinity();
    for (const std::uint64_t start : {1u, 2u}) {
      evolved = std::max(
          evolved,
          EvolvedObjective(
              scenario, problem, association, y, Rng(seed).Stream("evolve").Stream(start)));
    }
    EXPECT_GE(found, evolved - 1e-8 * scale) << "seed " << seed;
    // Makespan is not smooth, where an evolution strategy stalls early.
    met += evolved > found - (seed % 2 == 0 ? 1e-3 : 2e-2) * scale;
  }
  EXPECT_GE(met, kInstances * 3 / 4);  // The rough one nearly always comes that near.
}

// Sum mode: what one more Hz (W, Hz of clock) is worth must be the same to every user of a server,
// and nothing where the server keeps some back; a user's own p and f are worth nothing more inside
// their boxes. Derivatives by central differences of the independent evaluator.
TEST(ResourceStep, MeetsTheKktConditionsInSumMode) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const Scenario scenario = testing::RandomScenario({.users = 4, .servers = 1}, Rng(seed));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Association association = RandomAssociation(problem, Rng(seed).Stream("pick"));
    const double y = EqualSharesScr(problem, association);
    const Plan plan = AllocateResources(problem, association, y).plan;
    const double scale = TotalsOf(problem, plan).score;
    const auto worth = [&](std::size_t n, double Decision::*resource) {  // Per share of itself.
      const double step = 1e-5 * plan[n].*resource;
      Plan above = plan, below = plan;
      above[n].*resource += step;
      below[n].*resource -= step;
      const PlanTotals high = TotalsOf(problem, above), low = TotalsOf(problem, below);
      return ((high.score - low.score) - y * (high.cost - low.cost)) / (2 * step);
    };
    const struct {
      double Decision::*resource;
      double capacity;
    } shared[] = {{&Decision::bandwidth_hz, problem.server_bandwidth_hz[0]},
                  {&Decision::server_tx_power_w, problem.server_tx_power_w_max[0]},
                  {&Decision::server_clock_hz, problem.server_clock_hz_max[0]}};
    for (const auto& [resource, capacity] : shared) {
      double used = 0.0, price = 0.0;
      for (const Decision& decision : plan) used += decision.*resource;
      for (std::size_t n = 0; n < plan.size(); ++n) {
        price = std::max(price, capacity * worth(n, resource));
      }
      if (used < 0.999 * capacity) {
        EXPECT_NEAR(price, 0.0, 1e-4 * scale) << "seed " << seed;
      }
      for (std::size_t n = 0; n < plan.size(); ++n) {
        if (!(plan[n].*resource > 1e-5 * capacity)) continue;  // At its own lower limit.
        EXPECT_NEAR(capacity * worth(n, resource), price, 1e-4 * scale) << "seed " << seed;
      }
    }
    for (std::size_t n = 0; n < plan.size(); ++n) {
      const auto check = [&](double Decision::*resource, double limit) {
        if (plan[n].*resource == 0.0) return;
        const double value = limit * worth(n, resource);
        if (plan[n].*resource < 0.999 * limit) {
          EXPECT_NEAR(value, 0.0, 1e-4 * scale);
        }
        EXPECT_GE(value, -1e-4 * scale);
      };
      check(&Decision::tx_power_w, problem.tx_power_w_max[n]);
      check(&Decision::local_clock_hz, problem.clock_hz_max[n]);
    }
  }
}

TEST(ResourceStep, GivesEqualUsersEqualShares) {
  for (const DelayMode delay : kModes) {
    Scenario scenario = testing::RandomScenario({.users = 3, .servers = 1, .delay = delay}, Rng(5));
    for (std::size_t n = 1; n < 3; ++n) {
      scenario.users[n] = scenario.users[0];
      scenario.links[n] = scenario.links[0];
    }
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Association association(3, {0, 2});
    const Plan plan =
        AllocateResources(problem, association, EqualSharesScr(problem, association)).plan;
    for (std::size_t n = 1; n < 3; ++n) {
      EXPECT_NEAR(plan[n].bandwidth_hz / plan[0].bandwidth_hz, 1.0, 1e-6);
      EXPECT_NEAR(plan[n].server_clock_hz / plan[0].server_clock_hz, 1.0, 1e-6);
    }
    EXPECT_NEAR(3 * plan[0].bandwidth_hz,
                problem.server_bandwidth_hz[0],
                1e-6 * problem.server_bandwidth_hz[0]);
  }
}

TEST(ResourceStep, PermutingUsersPermutesThePlan) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Scenario scenario =
        testing::RandomScenario({.users = 5, .delay = kModes[seed % 2]}, Rng(seed));
    Rng rng = Rng(seed).Stream("order");
    const std::vector<int> order = rng.Permutation(5);
    Scenario permuted = scenario;
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Association association = RandomAssociation(problem, Rng(seed).Stream("pick"));
    Association association_permuted(5);
    for (std::size_t n = 0; n < 5; ++n) {
      const auto from = static_cast<std::size_t>(order[n]);
      permuted.users[n] = scenario.users[from];
      permuted.links[n] = scenario.links[from];
      association_permuted[n] = association[from];
    }
    const ScrProblem problem_permuted = MakeScrProblem(permuted).value();
    const double y = EqualSharesScr(problem, association);
    const Plan plan = AllocateResources(problem, association, y).plan;
    const Plan plan_permuted = AllocateResources(problem_permuted, association_permuted, y).plan;
    for (std::size_t n = 0; n < 5; ++n) {
      const Decision& a = plan[static_cast<std::size_t>(order[n])];
      const Decision& b = plan_permuted[n];
      EXPECT_NEAR(a.bandwidth_hz, b.bandwidth_hz, 1e-5 * (1 + a.bandwidth_hz)) << "seed " << seed;
      EXPECT_NEAR(a.server_clock_hz, b.server_clock_hz, 1e-5 * (1 + a.server_clock_hz));
      EXPECT_NEAR(a.server_tx_power_w, b.server_tx_power_w, 1e-4 * (1 + a.server_tx_power_w));
    }
  }
}

TEST(DinkelbachOverTheResourceStep, NeverFallsAndEndsWhereNothingIsLeftToGain) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Scenario scenario = testing::RandomScenario(
        {.users = 5, .delay = kModes[seed % 2], .corners = seed % 4 < 2}, Rng(seed));
    const ScrProblem problem = MakeScrProblem(scenario).value();
    const Association association = RandomAssociation(problem, Rng(seed).Stream("pick"));
    const double start = EqualSharesScr(problem, association);
    const RatioResult result = MaximizeScrForAssociation(problem, association);
    EXPECT_EQ(result.termination, Termination::kConverged) << "seed " << seed;
    EXPECT_GE(result.scr, start);
    const Evaluation evaluation = Evaluate(scenario, result.plan);
    ASSERT_TRUE(evaluation.feasible);
    EXPECT_NEAR(evaluation.scr, result.scr, 1e-12 * result.scr);
    const ResourceResult again = AllocateResources(problem, association, result.scr, &result.plan);
    EXPECT_LE(again.score - result.scr * again.cost, 1e-6 * (1 + again.score));
    const RatioResult warm = MaximizeScrForAssociation(problem, association, &result.plan);
    EXPECT_GE(warm.scr, result.scr * (1 - 1e-15));
  }
}

}  // namespace
}  // namespace dashf::solvers
