#include "problem/plan_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/rng.h"
#include "scenario/generator.h"

namespace dashf {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

LoadedScenario ThreeByTwo() {
  Scenario scenario = *GenerateStudy(3, 2, {}, Rng(4));
  const std::string sha256 = Sha256Hex(WriteScenario(scenario));
  return {std::move(scenario), sha256};
}

PlanDocument SomePlan(const LoadedScenario& loaded) {
  PlanDocument document;
  document.scenario_sha256 = loaded.sha256;
  document.method = "dashf";
  document.version = "0.1.0";
  document.seed = 7;
  document.termination = Termination::kTimeLimit;
  for (std::size_t n = 0; n < 3; ++n) {
    const int server = static_cast<int>(n % 2);
    document.plan.push_back({.server = server,
                             .local_layers = static_cast<int>(n),
                             .local_clock_hz = loaded.scenario.users[n].compute.clock_hz_max / 3,
                             .tx_power_w = 0.1,
                             .bandwidth_hz = 1e7 / 3,
                             .server_tx_power_w = 1.0 / 3,
                             .server_clock_hz = 1e8});
  }
  document.history = {{1, 0.5, 1.0 / 3, 0.01, "start"}, {2, 0.75, 1e-12, 0.02, "resources"}};
  return document;
}

TEST(PlanFile, RoundTripsExactly) {
  const LoadedScenario loaded = ThreeByTwo();
  const std::string text = WritePlan(loaded.scenario, SomePlan(loaded));
  const auto again = ParsePlan("p.json", text, loaded);
  ASSERT_TRUE(again) << again.error().Text();
  EXPECT_EQ(WritePlan(loaded.scenario, *again), text);
  EXPECT_EQ(again->seed, 7u);
  EXPECT_EQ(again->termination, Termination::kTimeLimit);
  EXPECT_EQ(again->history[1].residual, 1e-12);
  EXPECT_EQ(again->plan[2].bandwidth_hz, 1e7 / 3);
}

TEST(PlanFile, StatesWhatTheEvaluatorSays) {
  const LoadedScenario loaded = ThreeByTwo();
  const PlanDocument document = SomePlan(loaded);
  const Evaluation evaluation = Evaluate(loaded.scenario, document.plan);
  const json text = json::parse(WritePlan(loaded.scenario, document));
  EXPECT_EQ(text["scr"], evaluation.scr);
  EXPECT_EQ(text["cost"], evaluation.cost);
  EXPECT_EQ(text["status"]["primal"] == "feasible_point", evaluation.feasible);
  EXPECT_EQ(text["assignments"][1]["delay_s"]["server"], evaluation.users[1].delay_s.server);
}

TEST(PlanFile, StatesNoNumericalBoundBelowThePlan) {
  const LoadedScenario loaded = ThreeByTwo();
  PlanDocument document = SomePlan(loaded);
  document.certificate.reset();
  const Evaluation evaluation = Evaluate(loaded.scenario, document.plan);
  ASSERT_TRUE(evaluation.feasible);
  document.scr_upper = evaluation.scr * (1.0 - 1e-4);
  EXPECT_EQ(StatusOf(document, evaluation).bound, BoundStatus::kNone);
  const json text = json::parse(WritePlan(loaded.scenario, document));
  EXPECT_TRUE(text["status"]["scr_upper"].is_null());
  EXPECT_TRUE(text["status"]["gap"].is_null());
  document.scr_upper = evaluation.scr * (1.0 - 1e-15);  // By rounding alone.
  EXPECT_EQ(StatusOf(document, evaluation).scr_upper, evaluation.scr);
  EXPECT_EQ(StatusOf(document, evaluation).gap, 0.0);
  document.scr_upper = evaluation.scr * 1.01;
  EXPECT_EQ(StatusOf(document, evaluation).bound, BoundStatus::kNumerical);
}

TEST(PlanFile, APhaseThatNeverEndsIsNull) {
  const LoadedScenario loaded = ThreeByTwo();
  PlanDocument document = SomePlan(loaded);
  document.plan[0].bandwidth_hz = 0.0;
  const std::string text = WritePlan(loaded.scenario, document);
  EXPECT_TRUE(json::parse(text)["assignments"][0]["delay_s"]["upload"].is_null());
  EXPECT_TRUE(json::parse(text)["cost"].is_null());
  EXPECT_TRUE(ParsePlan("p.json", text, loaded));
}

TEST(PlanFile, DecisionsAloneAreEnough) {
  const LoadedScenario loaded = ThreeByTwo();
  const PlanDocument document = SomePlan(loaded);
  json text = json::parse(WritePlan(loaded.scenario, document));
  for (const char* key : {"scr", "score", "cost", "delay_s", "energy_j", "bound"}) text.erase(key);
  for (json& row : text["assignments"]) {
    for (const char* key : {"delay_s", "energy_j", "score"}) row.erase(key);
  }
  std::swap(text["assignments"][0], text["assignments"][2]);  // Users are found by id.
  const auto again = ParsePlan("p.json", text.dump(), loaded);
  ASSERT_TRUE(again) << again.error().Text();
  EXPECT_EQ(WritePlan(loaded.scenario, *again), WritePlan(loaded.scenario, document));
}

TEST(PlanFile, APlanMadeElsewhereNeedsSchemaAndDecisions) {
  const LoadedScenario loaded = ThreeByTwo();
  const PlanDocument document = SomePlan(loaded);
  const json whole = json::parse(WritePlan(loaded.scenario, document));
  json least = {{"schema", whole["schema"]}, {"assignments", whole["assignments"]}};
  for (json& row : least["assignments"]) {
    for (const char* key : {"delay_s", "energy_j", "score"}) row.erase(key);
  }
  const auto again = ParsePlan("p.json", least.dump(), loaded);
  ASSERT_TRUE(again) << again.error().Text();
  const Evaluation evaluation = Evaluate(loaded.scenario, again->plan);
  EXPECT_EQ(evaluation.scr, Evaluate(loaded.scenario, document.plan).scr);
  least.erase("assignments");
  EXPECT_FALSE(ParsePlan("p.json", least.dump(), loaded));
}

TEST(PlanFile, RefusesWhateverBreaksARule) {
  const struct {
    std::function<void(json&)> change;
    const char* text;
  } cases[] = {
      {[](json& p) { p["schema"] = "dashf.scenario/1"; }, "schema: must be \"dashf.plan/1\""},
      {[](json& p) { p["scenario_sha256"] = std::string(64, '0'); }, "another scenario"},
      {[](json& p) { p["seed"] = -1; }, "seed"},
      {[](json& p) { p["status"]["termination"] = "bored"; }, "status.termination"},
      {[](json& p) { p["assignments"].erase(1); }, "must assign user \"u1\""},
      {[](json& p) { p["assignments"][1]["user"] = "u0"; },
       "assignments[1].user: must be assigned once"},
      {[](json& p) { p["assignments"][1]["user"] = "u9"; }, "assignments[1].user: must be the id"},
      {[](json& p) { p["assignments"][0]["server"] = "s7"; },
       "assignments[0].server: must be the id"},
      {[](json& p) { p["assignments"][0]["local_layers"] = 1.5; }, "assignments[0].local_layers"},
      {[](json& p) { p["assignments"][0]["tx_power_w"] = nullptr; }, "assignments[0].tx_power_w"},
      {[](json& p) { p["assignments"][0]["score"] = "high"; }, "assignments[0].score"},
      {[](json& p) { p["assignments"][0]["energy_j"]["idle"] = 1; }, "energy_j.idle: unknown key"},
      {[](json& p) { p["bound"] = 3; }, "bound: must be an object"},
      {[](json& p) { p["history"][0].erase("step"); }, "missing key \"step\""},
      {[](json& p) { p["colour"] = 1; }, "colour: unknown key"}};
  const LoadedScenario loaded = ThreeByTwo();
  for (const auto& bad : cases) {
    json text = json::parse(WritePlan(loaded.scenario, SomePlan(loaded)));
    bad.change(text);
    const auto plan = ParsePlan("p.json", text.dump(), loaded);
    ASSERT_FALSE(plan) << bad.text;
    EXPECT_EQ(plan.error().kind, ErrorKind::kBadInput);
    EXPECT_THAT(plan.error().Text(), HasSubstr(bad.text));
  }
}

Certificate SomeCertificate(const Scenario& scenario) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<ServerPrices> prices(scenario.servers.size(), {1e-8 / 3, 0.1, 2e-10, 0.5});
  const std::vector<double> weights(scenario.users.size(), 1.0 / 7);
  const ServerPrices own{1e-8 / 7, 0.1, 3e-10, -0.25};
  return {.scr_upper = 0.8,
          .boxes = {{0.0, 12.5, 0.0, kInfinity, prices, weights, weights},
                    {.user_phase_s_min = 12.5,
                     .servers = prices,
                     .user_phase_weight_per_s = weights,
                     .server_phase_weight_per_s = weights,
                     .user_worth = {-1.0 / 3, 0.0, 2.5},
                     .cases = {{1, {UsersMax{2}, UserWithin{2, 0, 16}, own, own, own}}}}}};
}

LoadedScenario ThreeByTwoWithBarriers() {
  Scenario scenario = *GenerateStudy(3, 2, {}, Rng(4));
  scenario.objective.delay = DelayMode::kMakespan;
  const std::string sha256 = Sha256Hex(WriteScenario(scenario));
  return {std::move(scenario), sha256};
}

TEST(PlanFile, ACertificateRoundTripsExactlyAndItsGapIsThatOfThePlan) {
  const LoadedScenario loaded = ThreeByTwoWithBarriers();
  PlanDocument document = SomePlan(loaded);
  document.certificate = SomeCertificate(loaded.scenario);
  const std::string text = WritePlan(loaded.scenario, document);
  const auto again = ParsePlan("p.json", text, loaded);
  ASSERT_TRUE(again) << again.error().Text();
  EXPECT_EQ(WritePlan(loaded.scenario, *again), text);
  ASSERT_TRUE(again->certificate);
  EXPECT_EQ(again->certificate->boxes[0].servers[1].bandwidth_per_hz, 1e-8 / 3);
  EXPECT_EQ(again->certificate->boxes[0].user_phase_s_max, 12.5);
  EXPECT_TRUE(again->certificate->boxes[0].cases.empty());
  const std::vector<CaseNode>& nodes = again->certificate->boxes[1].cases.at(0).nodes;
  ASSERT_EQ(nodes.size(), 5u);
  EXPECT_EQ(std::get<UserWithin>(nodes[1]).split_max, 16);
  EXPECT_EQ(std::get<ServerPrices>(nodes[4]).slot, -0.25);
  EXPECT_EQ(again->certificate->boxes[1].user_phase_s_max, std::numeric_limits<double>::infinity());
  const double scr = Evaluate(loaded.scenario, document.plan).scr;
  EXPECT_DOUBLE_EQ(json::parse(text)["bound"]["gap"], (0.8 - scr) / 0.8);
}

TEST(PlanFile, RefusesACertificateThatBreaksARule) {
  const struct {
    std::function<void(json&)> change;
    const char* text;
  } cases[] = {
      {[](json& b) { b["scr_upper"] = 0; }, "bound.scr_upper: must be a number > 0, got 0"},
      {[](json& b) { b["scr_upper"] = nullptr; }, "bound.scr_upper"},
      {[](json& b) { b.erase("certificate"); }, "missing key \"certificate\""},
      {[](json& b) { b["certificate"]["boxes"] = json::array(); }, "boxes: must not be empty"},
      {[](json& b) { b["certificate"]["boxes"][1]["prices"]["slot"][0] = -1; },
       "bound.certificate.boxes[1].prices.slot[0]: must be a number >= 0, got -1"},
      {[](json& b) { b["certificate"]["boxes"][0]["prices"]["power_per_w"][0] = nullptr; },
       "boxes[0].prices.power_per_w[0]"},
      {[](json& b) { b["certificate"]["boxes"][0]["prices"]["clock_per_hz"].push_back(1); },
       "boxes[0].prices.clock_per_hz: must have 2 entries, not 3"},
      {[](json& b) { b["certificate"]["boxes"][0]["user_phase_weight_per_s"].erase(0); },
       "boxes[0].user_phase_weight_per_s: must have 3 entries, not 2"},
      {[](json& b) {
         b["certificate"]["boxes"][0]["user_phase_s"] = {5, 5};
       },
       "boxes[0].user_phase_s: must be [min, max]"},
      {[](json& b) {
         b["certificate"]["boxes"][0]["server_phase_s"] = {nullptr, 5};
       },
       "boxes[0].server_phase_s[0]"},
      {[](json& b) {
         b["certificate"]["boxes"][0]["server_phase_s"] = {1, 2, 3};
       },
       "boxes[0].server_phase_s: must be [min, max]"},
      {[](json& b) { b["certificate"]["boxes"][1]["user_worth"].erase(0); },
       "boxes[1].user_worth: must have 3 entries, not 2"},
      {[](json& b) { b["certificate"]["boxes"][1].erase("cases"); }, "missing key \"cases\""},
      {[](json& b) { b["certificate"]["boxes"][1].erase("user_worth"); }, "cases: unknown key"},
      {[](json& b) { b["certificate"]["boxes"][1]["cases"][0]["server"] = 2; }, "cases[0].server"},
      {[](json& b) { b["certificate"]["boxes"][1]["cases"][0]["nodes"][0]["users_max"] = 4; },
       "nodes[0].users_max"},
      {[](json& b) { b["certificate"]["boxes"][1]["cases"][0]["nodes"][1]["user"] = -1; },
       "nodes[1].user"},
      {[](json& b) {
         b["certificate"]["boxes"][1]["cases"][0]["nodes"][1]["splits"] = {3, 2};
       },
       "nodes[1].splits: must be [min, max]"},
      {[](json& b) {
         b["certificate"]["boxes"][1]["cases"][0]["nodes"][1]["splits"] = {0, 17};
       },
       "nodes[1].splits[1]"},
      {[](json& b) { b["certificate"]["boxes"][1]["cases"][0]["nodes"][2]["power_per_w"] = -1; },
       "nodes[2].power_per_w: must be a number >= 0"},
      {[](json& b) { b["certificate"]["boxes"][1]["cases"][0]["nodes"][2]["yes"] = 1; },
       "nodes[2].yes: unknown key"},
      {[](json& b) { b["certificate"]["proof"] = "trust me"; }, "certificate.proof: unknown key"}};
  const LoadedScenario loaded = ThreeByTwoWithBarriers();
  PlanDocument document = SomePlan(loaded);
  document.certificate = SomeCertificate(loaded.scenario);
  for (const auto& bad : cases) {
    json text = json::parse(WritePlan(loaded.scenario, document));
    bad.change(text["bound"]);
    const auto plan = ParsePlan("p.json", text.dump(), loaded);
    ASSERT_FALSE(plan) << bad.text;
    EXPECT_EQ(plan.error().kind, ErrorKind::kBadInput);
    EXPECT_THAT(plan.error().Text(), HasSubstr(bad.text));
  }
}

TEST(PlanFile, ADecisionThatBreaksALimitIsReadForTheEvaluatorToJudge) {
  const LoadedScenario loaded = ThreeByTwo();
  json text = json::parse(WritePlan(loaded.scenario, SomePlan(loaded)));
  text["assignments"][0]["bandwidth_hz"] = -5;
  text["assignments"][1]["local_layers"] = 99;
  const auto plan = ParsePlan("p.json", text.dump(), loaded);
  ASSERT_TRUE(plan) << plan.error().Text();
  EXPECT_FALSE(Evaluate(loaded.scenario, plan->plan).feasible);
}

}  // namespace
}  // namespace dashf
