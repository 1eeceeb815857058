// Scenarios that are sound but admit no plan: kInfeasible, with the users and servers concerned.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "scenario/generator.h"
#include "scenario/scenario.h"

namespace dashf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Scenario FourUsersTwoServers() {
  return *GenerateStudy(4, 2, {}, Rng(1));
}

Error ErrorOf(const Scenario& scenario) {
  const auto valid = Validate(scenario);
  EXPECT_FALSE(valid);
  return valid ? Error{} : valid.error();
}

TEST(Validate, AcceptsAGeneratedScenario) {
  EXPECT_TRUE(Validate(FourUsersTwoServers()));
}

TEST(Validate, NamesAUserThatReachesNoServer) {
  Scenario scenario = FourUsersTwoServers();
  scenario.links[2].clear();
  const Error error = ErrorOf(scenario);
  EXPECT_EQ(error.kind, ErrorKind::kInfeasible);
  EXPECT_THAT(error.Text(), AllOf(HasSubstr("u2"), HasSubstr("reaches no server")));
}

TEST(Validate, CountsSlotsInTotal) {
  Scenario scenario = FourUsersTwoServers();
  scenario.servers[0].slots = 1;
  scenario.servers[1].slots = 2;
  const Error error = ErrorOf(scenario);
  EXPECT_EQ(error.kind, ErrorKind::kInfeasible);
  EXPECT_THAT(error.Text(), HasSubstr("the 4 users u0, u1, u2, u3 reach only s0, s1 with 3 slots"));
}

TEST(Validate, FindsAGroupOfUsersWithoutEnoughSlotsAroundIt) {
  // u1, u2 and u3 reach s1 alone, which has two slots; s0 has plenty.
  Scenario scenario = FourUsersTwoServers();
  scenario.servers[0].slots = 10;
  scenario.servers[1].slots = 2;
  for (const std::size_t n : {1u, 2u, 3u}) scenario.links[n] = {{.server = 1, .gain = 1e-9}};
  const Error error = ErrorOf(scenario);
  EXPECT_EQ(error.kind, ErrorKind::kInfeasible);
  EXPECT_THAT(error.Text(), HasSubstr("the 3 users u1, u2, u3 reach only s1 with 2 slots"));
}

TEST(Validate, NamesAUserWhoseMemoryFitsNoSplit) {
  Scenario scenario = FourUsersTwoServers();
  scenario.users[3].memory_bytes_max = 100.0;
  scenario.profiles[3].local_memory_bytes.assign(17, 200.0);
  const Error error = ErrorOf(scenario);
  EXPECT_EQ(error.kind, ErrorKind::kInfeasible);
  EXPECT_THAT(error.Text(),
              AllOf(HasSubstr("u3"),
                    HasSubstr("no split fits its memory"),
                    HasSubstr("100"),
                    HasSubstr("200")));
}

TEST(Validate, NamesAUserWhoCouldOnlyTrainEverythingItself) {
  Scenario scenario = FourUsersTwoServers();
  scenario.profiles[0].local_memory_bytes.assign(17, 1e12);
  scenario.profiles[0].local_memory_bytes[16] = 1.0;
  const Error error = ErrorOf(scenario);
  EXPECT_EQ(error.kind, ErrorKind::kInfeasible);
  EXPECT_THAT(error.Text(), AllOf(HasSubstr("u0"), HasSubstr("only k = L = 16")));
  scenario.objective.all_local_allowed = true;
  EXPECT_TRUE(Validate(scenario));
}

TEST(Validate, CatchesNanWhereNoFileWasRead) {
  Scenario scenario = FourUsersTwoServers();
  scenario.users[1].compute.clock_hz_max = std::nan("");
  const Error error = ErrorOf(scenario);
  EXPECT_EQ(error.kind, ErrorKind::kBadInput);
  EXPECT_THAT(error.Text(),
              HasSubstr("users[1].compute.clock_hz_max: must be a number > 0, got nan"));
}

}  // namespace
}  // namespace dashf
