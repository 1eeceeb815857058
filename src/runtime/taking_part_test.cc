#include "runtime/taking_part.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "runtime/messages.h"
#include "runtime/orders_wire.h"
#include "runtime/plan_scope.h"
#include "scenario/generator.h"

namespace dashf::runtime {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

// Users u0 and u1, servers s0 and s1.
Scenario TwoByTwo() {
  return *GenerateStudy(2, 2, {}, Rng(1));
}

// Everybody is here.
fleet::State InARound() {
  fleet::State state;
  for (const char* id : {"u0", "u1"}) state.users[id].presence = fleet::Presence::kHere;
  for (const char* id : {"s0", "s1"}) state.servers[id].presence = fleet::Presence::kHere;
  state.round.emplace();
  return state;
}

std::string ReportOf(const Scenario& scenario, const SplitProfile& profile, double clock_hz) {
  v1::Hello hello;
  v1::UserCapabilities& user = *hello.mutable_user();
  *user.mutable_compute() = ToWire(scenario.users[0].compute);
  user.mutable_compute()->set_clock_hz_max(clock_hz);
  user.set_tx_power_w_max(0.1);
  user.set_memory_bytes_max(1e9);
  *user.mutable_profile() = ToWire(profile);
  const auto report = CapabilitiesOf(UserNode("u0"), hello, profile.layers());
  EXPECT_TRUE(report.has_value());
  return *report;
}

TEST(TakingPart, WhatAUserReportsTakesTheScenariosPlaceAsOftenAsItReports) {
  const Scenario scenario = TwoByTwo();
  Deployment deployment(scenario);
  SplitProfile profile = scenario.ProfileOf(scenario.users[0]);
  const std::size_t profiles = scenario.profiles.size();
  ASSERT_TRUE(deployment.Hear(UserNode("u0"), ReportOf(scenario, profile, 1e9)));
  EXPECT_EQ(deployment.scenario().users[0].compute.clock_hz_max, 1e9);
  EXPECT_EQ(deployment.scenario().profiles.size(), profiles);  // The same rows.
  for (const double factor : {2.0, 3.0}) {
    profile.local_flop[1] *= factor;
    ASSERT_TRUE(deployment.Hear(UserNode("u0"), ReportOf(scenario, profile, 2e9)));
    EXPECT_EQ(deployment.scenario().profiles.size(), profiles + 1);
    const User& user = deployment.scenario().users[0];
    EXPECT_EQ(deployment.scenario().ProfileOf(user).local_flop, profile.local_flop);
  }
  const User& other = deployment.scenario().users[1];
  EXPECT_EQ(deployment.scenario().ProfileOf(other).local_flop,
            scenario.ProfileOf(scenario.users[1]).local_flop);
}

TEST(TakingPart, AReportOfNobodyOrOfAnotherVersionIsNamed) {
  Deployment deployment(TwoByTwo());
  EXPECT_EQ(deployment.Hear(UserNode("u7"), "{}").error().Text(), "user/u7: is not expected");
  EXPECT_FALSE(deployment.Hear(UserNode("u0"), R"({"clock": 3})"));
  EXPECT_FALSE(deployment.Hear(UserNode("u0"), "{}"));  // Without a profile.
  EXPECT_TRUE(deployment.AddressesOf("s0").empty());
  ASSERT_TRUE(deployment.Hear(ServerNode("s0"), R"({"compute": {}, "address": ["a:1", "b:2"]})"));
  EXPECT_THAT(deployment.AddressesOf("s0"), ElementsAre("a:1", "b:2"));
}

TEST(TakingPart, WhoHasLeftTheScenarioGetsNoPlanAndHoldsNobodyUp) {
  fleet::State state;
  for (const char* id : {"u0", "u1", "gone"}) {
    state.users[id].presence = fleet::Presence::kHere;
  }
  state.servers["s1"].presence = fleet::Presence::kHere;
  state.round.emplace();
  state.round->tasks["u0"];
  fleet::Task& running = state.round->tasks["u1"];
  running.state = fleet::Task::State::kRunning;
  running.server = "a server that has left";
  state.round->tasks["gone"];
  const PlanScope scope = ScopeOf(state, TwoByTwo());
  EXPECT_THAT(scope.unreachable, ElementsAre("gone"));
  EXPECT_THAT(scope.outside, ElementsAre("u1"));  // Until its server is lost.
  ASSERT_EQ(scope.request.scenario.users.size(), 1U);
  ASSERT_EQ(scope.request.scenario.servers.size(), 1U);
  for (const auto& kept : scope.request.kept) EXPECT_FALSE(kept.has_value());
}

// One node's nonsense would leave everybody without a plan.
TEST(TakingPart, WhatBreaksARuleOfScenariosIsRefusedByNameAndValue) {
  const Scenario scenario = TwoByTwo();
  v1::Hello sound;
  v1::UserCapabilities& user = *sound.mutable_user();
  *user.mutable_compute() = ToWire(scenario.users[0].compute);
  user.set_tx_power_w_max(0.1);
  user.set_memory_bytes_max(1e12);
  *user.mutable_profile() = ToWire(scenario.ProfileOf(scenario.users[0]));
  const int layers = scenario.profiles.front().layers();
  ASSERT_TRUE(CapabilitiesOf(UserNode("u0"), sound, layers));
  const auto said = [layers](const v1::Hello& hello) {
    const auto report = CapabilitiesOf(UserNode("u0"), hello, layers);
    return report ? "" : report.error().Text();
  };
  v1::Hello hello = sound;
  hello.mutable_user()->mutable_compute()->set_kappa_w_per_hz3(-1.0);
  EXPECT_EQ(said(hello), "user/u0: reported compute.kappa_w_per_hz3 must be a number >= 0, got -1");
  hello = sound;
  hello.mutable_user()->mutable_profile()->set_local_flop(0, 7.0);
  EXPECT_THAT(said(hello), testing::HasSubstr("local_flop[0] must be 0"));
  hello = sound;
  for (double& bytes : *hello.mutable_user()->mutable_profile()->mutable_local_memory_bytes()) {
    bytes = 2e9;
  }
  hello.mutable_user()->set_memory_bytes_max(1e9);
  EXPECT_THAT(said(hello), testing::HasSubstr("memory_bytes_max must hold a split"));
  v1::Hello server;
  *server.mutable_server()->mutable_compute() = ToWire(scenario.servers[0].compute);
  server.mutable_server()->set_bandwidth_hz(std::numeric_limits<double>::infinity());
  server.mutable_server()->set_tx_power_w_max(1.0);
  server.mutable_server()->add_address("e:1");
  EXPECT_EQ(CapabilitiesOf(ServerNode("s0"), server, layers).error().Text(),
            "server/s0: reported bandwidth_hz must be a number > 0, got inf");
}

// A plan of everybody from scratch might give the place of one who is at work to another.
TEST(TakingPart, WhoIsAtWorkIsPlannedForAtItsServerAlone) {
  const Scenario scenario = TwoByTwo();
  fleet::State state = InARound();
  fleet::Task& running = state.round->tasks["u0"];
  running.state = fleet::Task::State::kRunning;
  running.server = "s1";
  running.decision.local_layers = 1;
  state.round->tasks["u1"].failed_at = {"s0"};
  const PlanScope scope = ScopeOf(state, scenario);
  EXPECT_THAT(scope.unreachable, IsEmpty());
  const auto& links = scope.request.scenario.links;
  EXPECT_THAT(
      links,
      ElementsAre(ElementsAre(Field(&Link::server, 1)), ElementsAre(Field(&Link::server, 1))));
  ASSERT_TRUE(scope.request.kept[0].has_value());
  EXPECT_EQ(scope.request.kept[0]->server, 1);
  EXPECT_FALSE(scope.request.kept[1].has_value());
}

TEST(TakingPart, WhoIsAtWorkWithWhatTheScenarioHasNoPlaceForGoesOnWithoutAPlan) {
  const Scenario before = TwoByTwo();
  fleet::State state = InARound();
  fleet::Task& running = state.round->tasks["u0"];
  running.state = fleet::Task::State::kRunning;
  running.server = "s1";
  running.decision.local_layers = 2;
  state.round->tasks["u1"];
  const auto planned = [&state](const Scenario& scenario) {
    std::vector<std::string> ids;
    for (const User& user : ScopeOf(state, scenario).request.scenario.users) ids.push_back(user.id);
    return ids;
  };
  EXPECT_THAT(planned(before), ElementsAre("u0", "u1"));
  Scenario unlinked = before;
  std::erase_if(unlinked.links[0], [](const Link& link) { return link.server == 1; });
  EXPECT_THAT(planned(unlinked), ElementsAre("u1"));
  EXPECT_THAT(ScopeOf(state, unlinked).outside, ElementsAre("u0"));
  EXPECT_THAT(ScopeOf(state, unlinked).unreachable, IsEmpty());
  Scenario small = before;
  small.users[0].memory_bytes_max = small.ProfileOf(small.users[0]).local_memory_bytes[1];
  EXPECT_THAT(planned(small), ElementsAre("u1"));
}

TEST(TakingPart, WhereSlotsAreFewAsManyAsFitArePlannedBesideThoseAtWork) {
  Scenario scenario = TwoByTwo();
  for (Server& server : scenario.servers) server.slots = 1;
  fleet::State state = InARound();
  for (const char* id : {"u0", "u1"}) state.round->tasks[id];
  EXPECT_THAT(ScopeOf(state, scenario).without_slot, IsEmpty());
  state.servers["s1"].presence = fleet::Presence::kGone;
  EXPECT_THAT(ScopeOf(state, scenario).without_slot, ElementsAre("u1"));
  fleet::Task& running = state.round->tasks["u1"];
  running.state = fleet::Task::State::kRunning;
  running.server = "s0";
  const PlanScope scope = ScopeOf(state, scenario);
  EXPECT_THAT(scope.without_slot, ElementsAre("u0"));
  ASSERT_EQ(scope.request.scenario.users.size(), 1U);
  EXPECT_EQ(scope.request.scenario.users[0].id, "u1");
  EXPECT_TRUE(scope.request.kept[0].has_value());
}

TEST(TakingPart, WhoGoesOnFromAnAdapterIsPlannedForWithAllLayersUp) {
  const Scenario scenario = TwoByTwo();
  fleet::State state;
  for (const char* id : {"u0", "u1"}) state.users[id].presence = fleet::Presence::kHere;
  state.users["u1"].rounds_done = 1;
  state.servers["s0"].presence = fleet::Presence::kHere;
  state.round.emplace();
  for (const char* id : {"u0", "u1"}) state.round->tasks[id];
  const PlanScope scope = ScopeOf(state, scenario);
  const Scenario& planned = scope.request.scenario;
  const SplitProfile& given = scenario.ProfileOf(scenario.users[1]);
  EXPECT_EQ(planned.ProfileOf(planned.users[0]).upload_bit,
            scenario.ProfileOf(scenario.users[0]).upload_bit);
  const SplitProfile& all = planned.ProfileOf(planned.users[1]);
  EXPECT_TRUE(Validate(planned));
  for (int k = 0; k < given.layers(); ++k) {
    // The data, and the adapters of all layers: what comes back where the server trains them all.
    EXPECT_EQ(all.upload_bit[static_cast<std::size_t>(k)],
              given.upload_bit[0] + given.download_bit[0]);
  }
  EXPECT_EQ(all.upload_bit.back(), 0.0);
  EXPECT_EQ(all.download_bit, given.download_bit);
  // An emulated round paces what is sent by what was planned.
  fleet::Task& task = state.round->tasks["u1"];
  task.state = fleet::Task::State::kRunning;
  task.attempt = 1;
  task.server = "s0";
  task.decision.local_layers = 1;
  task.predicted_s.upload = 2.0;
  state.round->stage = fleet::Round::Stage::kRunning;
  state.layers = given.layers();
  const v1::Orders orders =
      OrdersOf(state, Deployment(scenario), Emulation{1.0, 0.0}, UserNode("u1"));
  EXPECT_DOUBLE_EQ(orders.work().pace().upload_bit_per_s(), all.upload_bit[1] / 2.0);
}

}  // namespace
}  // namespace dashf::runtime
