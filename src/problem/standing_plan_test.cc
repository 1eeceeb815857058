#include "problem/standing_plan.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/rng.h"
#include "scenario/generator.h"

namespace dashf {
namespace {

using ::testing::HasSubstr;

std::string PlanText(const Scenario& scenario) {
  PlanDocument document;
  document.scenario_sha256 = Sha256Hex(WriteScenario(scenario));
  document.method = "prices";
  document.version = "0.1.0";
  document.termination = Termination::kConverged;
  document.scr_upper = 2.5;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    document.plan.push_back({.server = static_cast<int>(n % scenario.servers.size()),
                             .local_layers = 1,
                             .local_clock_hz = 1e8,
                             .tx_power_w = 0.1,
                             .bandwidth_hz = 1e6 * static_cast<double>(n + 1),
                             .server_tx_power_w = 0.5,
                             .server_clock_hz = 1e8});
  }
  for (std::size_t m = 0; m < scenario.servers.size(); ++m) {
    document.prices.push_back({.bandwidth_per_hz = 1e-9 * static_cast<double>(m + 1)});
  }
  return WritePlan(scenario, document);
}

TEST(StandingPlan, MatchesUsersAndServersByTheirIds) {
  const Scenario before = *GenerateStudy(4, 3, {}, Rng(1));
  Scenario now = before;
  std::swap(now.users[0], now.users[3]);
  now.users[1].id = "newcomer";
  now.servers[2].id = "replacement";
  const auto plan = ParseNamedPlan("p.json", PlanText(before));
  ASSERT_TRUE(plan.has_value()) << plan.error().Text();
  const auto standing = MatchPlan(*plan, now);
  ASSERT_TRUE(standing.has_value());
  EXPECT_EQ(standing->users_kept, 3);
  EXPECT_EQ(standing->users_new, 1);
  EXPECT_EQ(standing->users_gone, 1);
  EXPECT_EQ(standing->users_displaced, 1);  // u2 was on s2.
  EXPECT_EQ(standing->servers_kept, 2);
  EXPECT_EQ(standing->servers_new, 1);
  EXPECT_EQ(standing->servers_gone, 1);
  EXPECT_EQ(standing->decisions[3].value().bandwidth_hz, 1e6);  // u0 is the last user now.
  EXPECT_FALSE(standing->decisions[1].has_value());
  EXPECT_FALSE(standing->decisions[2].has_value());
  EXPECT_EQ(standing->prices[1].value().bandwidth_per_hz, 2e-9);
  EXPECT_FALSE(standing->prices[2].has_value());
}

TEST(StandingPlan, OfAnotherWorldIsRefused) {
  const Scenario before = *GenerateStudy(3, 2, {}, Rng(1));
  Scenario now = before;
  for (User& user : now.users) user.id += "x";
  const auto plan = ParseNamedPlan("p.json", PlanText(before));
  ASSERT_TRUE(plan.has_value());
  const auto standing = MatchPlan(*plan, now);
  ASSERT_FALSE(standing.has_value());
  EXPECT_EQ(standing.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(standing.error().message, HasSubstr("none in common"));
}

TEST(StandingPlan, IsReadAsStrictlyAsAnyPlan) {
  const Scenario scenario = *GenerateStudy(3, 2, {}, Rng(1));
  const nlohmann::json good = nlohmann::json::parse(PlanText(scenario));
  nlohmann::json twice = good, negative = good, partial = good, unknown = good;
  twice["assignments"][1]["user"] = "u0";
  negative["prices"][0]["clock_per_hz"] = -1.0;
  partial["prices"].erase(1);
  unknown["assignments"][0]["colour"] = "red";
  const std::pair<nlohmann::json, const char*> cases[] = {{twice, "must be assigned once"},
                                                          {negative, "prices[0].clock_per_hz"},
                                                          {partial, "must price every server"},
                                                          {unknown, "unknown key"}};
  for (const auto& [json, text] : cases) {
    const auto plan = ParseNamedPlan("p.json", json.dump());
    ASSERT_FALSE(plan.has_value()) << text;
    EXPECT_THAT(plan.error().Text(), HasSubstr(text));
  }
  EXPECT_FALSE(ParseNamedPlan("p.json", "[1, 2]").has_value());
}

}  // namespace
}  // namespace dashf
