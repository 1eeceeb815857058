#include "scenario/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "scenario/scenario_io.h"

namespace dashf {
namespace {

using ::testing::HasSubstr;

Scenario Of(std::string_view family, int users, int servers, std::uint64_t seed = 3) {
  auto scenario = GenerateFamily(family, users, servers, {}, Rng(seed));
  EXPECT_TRUE(scenario) << family << ": " << scenario.error().Text();
  return scenario ? *scenario : Scenario{};
}

int SlotsOf(const Scenario& scenario) {
  int slots = 0;
  for (const Server& server : scenario.servers) slots += server.slots.value_or(0);
  return slots;
}

TEST(Families, AreValidInEverySizeAndTheSeedAloneDecides) {
  for (const Family& family : Families()) {
    for (const auto& [users, servers] : {std::pair{1, 1}, {3, 2}, {20, 3}, {200, 10}}) {
      for (const DelayMode delay : {DelayMode::kSum, DelayMode::kMakespan}) {
        GeneratorOptions options;
        options.delay = delay;
        const auto once = GenerateFamily(family.name, users, servers, options, Rng(2), 2);
        ASSERT_TRUE(once) << family.name << " " << users << ": " << once.error().Text();
        const auto again = GenerateFamily(family.name, users, servers, options, Rng(2), 2);
        EXPECT_EQ(WriteScenario(*once), WriteScenario(*again)) << family.name;
        const auto other = GenerateFamily(family.name, users, servers, options, Rng(3), 2);
        EXPECT_NE(WriteScenario(*once), WriteScenario(*other)) << family.name;
      }
    }
  }
}

TEST(Families, BeginWithTheDefaultStudy) {
  EXPECT_EQ(Families().front().name, "uniform");
  EXPECT_EQ(WriteScenario(Of("uniform", 10, 2)), WriteScenario(*GenerateStudy(10, 2, {}, Rng(3))));
}

TEST(Families, UnknownOnesAreRefusedWithTheNamesThereAre) {
  const auto none = GenerateFamily("no-such", 3, 2, {}, Rng(1));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kUsage);
  EXPECT_THAT(none.error().message, HasSubstr("hot-spots"));
}

TEST(Families, SlotsAreExactTightZeroOrNone) {
  EXPECT_EQ(SlotsOf(Of("slots-exact", 200, 10)), 200);
  EXPECT_EQ(SlotsOf(Of("slots-tight", 200, 10)), 210);
  const Scenario zero = Of("slots-zero", 200, 10);
  EXPECT_EQ(std::ranges::count_if(zero.servers, [](const Server& s) { return s.slots == 0; }), 3);
  for (const Server& server : Of("slots-none", 200, 10).servers) EXPECT_FALSE(server.slots);
}

// With few candidates equal parts are impossible; the number of slots stays exact.
TEST(Families, ExactSlotsStayExactWhereUsersReachFewServers) {
  const auto scenario = GenerateFamily("slots-exact", 200, 10, {}, Rng(4), 1);
  ASSERT_TRUE(scenario) << scenario.error().Text();
  EXPECT_EQ(SlotsOf(*scenario), 200);
}

// The mean distance to the nearest other user, against its value for uniform places of the same
// density, 1 / (2 sqrt(density)): Clark and Evans' index, about 1 for uniform places.
TEST(Families, ClustersAreDenserThanUniformPlaces) {
  const auto index = [](const Scenario& scenario) {
    double sum = 0.0, low_x = 1e99, high_x = -1e99, low_y = 1e99, high_y = -1e99;
    for (const User& a : scenario.users) {
      double nearest = 1e99;
      for (const User& b : scenario.users) {
        if (&a == &b) continue;
        nearest = std::min(
            nearest,
            std::hypot(a.position_m.x_m - b.position_m.x_m, a.position_m.y_m - b.position_m.y_m));
      }
      sum += nearest;
      low_x = std::min(low_x, a.position_m.x_m), high_x = std::max(high_x, a.position_m.x_m);
      low_y = std::min(low_y, a.position_m.y_m), high_y = std::max(high_y, a.position_m.y_m);
    }
    const double n = static_cast<double>(scenario.users.size());
    return sum / n * 2.0 * std::sqrt(n / ((high_x - low_x) * (high_y - low_y)));
  };
  EXPECT_NEAR(index(Of("uniform", 400, 40)), 1.0, 0.15);
  EXPECT_LT(index(Of("clustered", 400, 40)), 0.7);
  EXPECT_LT(index(Of("hot-spots", 400, 40)), 0.7);
}

TEST(Families, UnequalServersDifferByAboutAThousand) {
  const Scenario scenario = Of("unequal", 400, 100);
  const auto [least, most] = std::ranges::minmax_element(
      scenario.servers, {}, [](const Server& server) { return server.bandwidth_hz; });
  const double ratio = most->bandwidth_hz / least->bandwidth_hz;
  EXPECT_GT(ratio, 300.0);
  EXPECT_LE(ratio, 1000.0);
}

TEST(Families, TablesAreAffineOrConcaveBetweenTheirEnds) {
  for (const auto& [family, least_bend] :
       {std::pair{"tables-affine", 0.0}, {"tables-concave", 1e-3}}) {
    const SplitProfile table = Of(family, 3, 2).profiles[0];
    for (int k = 1; k + 2 < table.layers(); ++k) {
      const auto i = static_cast<std::size_t>(k);
      const double bend =
          (2.0 * table.local_flop[i] - table.local_flop[i - 1] - table.local_flop[i + 1]) /
          table.local_flop[15];
      EXPECT_GE(bend, least_bend - 1e-12) << family << " " << k;
      EXPECT_LE(bend, least_bend == 0.0 ? 1e-12 : 1.0) << family << " " << k;
    }
  }
}

TEST(Families, ObjectivesAndMemoryAreAsNamed) {
  EXPECT_EQ(Of("energy-only", 3, 2).objective.delay_weight_per_s, 0.0);
  EXPECT_EQ(Of("delay-only", 3, 2).objective.energy_weight_per_j, 0.0);
  const Scenario local = Of("all-local", 20, 3);
  for (const User& user : local.users) EXPECT_TRUE(local.SplitAllowed(user, 16));
  const Scenario limited = Of("memory-limited", 20, 3);
  for (const User& user : limited.users) EXPECT_FALSE(limited.SplitAllowed(user, 5));
}

}  // namespace
}  // namespace dashf
