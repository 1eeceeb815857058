#include "sweep/design.h"

#include <gmock/gmock.h>

namespace dashf::sweep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Refusal(const std::string& text) {
  const auto varied = ParseVaried(text);
  EXPECT_FALSE(varied);
  if (varied) return "";
  EXPECT_EQ(varied.error().kind, ErrorKind::kUsage);
  return varied.error().Text();
}

TEST(Varied, IsReadInTheOrderGiven) {
  const auto varied = ParseVaried("bandwidth-hz=2e7,5e6");
  ASSERT_TRUE(varied);
  EXPECT_EQ(varied->parameter, "bandwidth-hz");
  EXPECT_THAT(varied->values, ElementsAre(2e7, 5e6));
}

TEST(Varied, WhatAParameterCannotBeIsRefusedByName) {
  EXPECT_THAT(Refusal("users"), HasSubstr("must be PARAMETER=VALUE"));
  EXPECT_THAT(Refusal("colour=1"), HasSubstr("must vary one of users, servers"));
  EXPECT_THAT(Refusal("users=1.5"), HasSubstr("users must be a whole number"));
  EXPECT_THAT(Refusal("users=2000000"), HasSubstr("from 1 to 1000000, got \"2000000\""));
  EXPECT_THAT(Refusal("users="), HasSubstr("got \"\""));
  EXPECT_THAT(Refusal("bandwidth-hz=nan"), HasSubstr("a number above 0"));
  EXPECT_THAT(Refusal("bandwidth-hz=1e6,-1"), HasSubstr("got \"-1\""));
  EXPECT_THAT(Refusal("users=3,3"), HasSubstr("has 3 twice"));
}

TEST(Seeds, AreARangeOrAList) {
  EXPECT_THAT(*ParseSeeds("3..5"), ElementsAre(3, 4, 5));
  EXPECT_THAT(*ParseSeeds("7"), ElementsAre(7));
  EXPECT_THAT(*ParseSeeds("9,1"), ElementsAre(9, 1));
  for (const char* wrong : {"", "5..3", "1,,2", "1,1", "a", "1..", "0..99999999", "-1"}) {
    EXPECT_FALSE(ParseSeeds(wrong)) << wrong;
  }
}

TEST(Design, PlansAllCombinationsSeedBySeed) {
  Design design;
  design.varied = {{"users", {3, 4}}, {"bandwidth-hz", {1e6, 2e6}}};
  design.seeds = {1, 2};
  const std::vector<Job> jobs = JobsOf(design);
  ASSERT_EQ(jobs.size(), 8U);
  EXPECT_EQ(jobs[3], (Job{{3, 2e6}, 2}));
  const StudySettings settings = design.At({4, 2e6});
  EXPECT_EQ(settings.users, 4);
  EXPECT_EQ(settings.options.bandwidth_hz, 2e6);
  EXPECT_EQ(Text(design, {4, 2e6}), "users = 4, bandwidth-hz = 2000000");
}

TEST(Design, DoesNotVaryAParameterTwice) {
  Design design;
  design.varied = {{"users", {3}}, {"users", {4}}};
  EXPECT_THAT(design.Validate().error().Text(), HasSubstr("users is given twice"));
}

// Every parameter changes the scenario that comes out.
TEST(Design, EveryParameterHasAnEffect) {
  const auto gains = [](const Scenario& scenario) {
    double sum = 0.0;
    for (const auto& links : scenario.links) {
      for (const Link& link : links) sum += link.gain;
    }
    return sum;
  };
  const Scenario plain = *Generate({}, 1);
  for (const std::string& name : ParameterNames()) {
    Design design;
    design.varied = {{name, {1}}};
    const Scenario varied = *Generate(design.At({1}), 1);
    const bool differs =
        varied.users.size() != plain.users.size() ||
        varied.servers.size() != plain.servers.size() || gains(varied) != gains(plain) ||
        varied.servers[0].bandwidth_hz != plain.servers[0].bandwidth_hz ||
        varied.servers[0].tx_power_w_max != plain.servers[0].tx_power_w_max ||
        varied.users[0].tx_power_w_max != plain.users[0].tx_power_w_max ||
        varied.objective.delay_weight_per_s != plain.objective.delay_weight_per_s ||
        varied.objective.energy_weight_per_j != plain.objective.energy_weight_per_j;
    EXPECT_TRUE(differs) << name;
  }
}

}  // namespace
}  // namespace dashf::sweep
