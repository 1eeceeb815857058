#include "scenario/scenario_io.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/file.h"
#include "base/rng.h"
#include "scenario/generator.h"

namespace dashf {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Two users, two servers, L = 2; u1 reaches s1 alone.
json TwoByTwo() {
  return json::parse(R"({
    "schema": "dashf.scenario/1", "name": "two by two",
    "objective": {"delay": "sum", "delay_weight_per_s": 1, "energy_weight_per_j": 0.5,
                  "score_scale": 1, "score_gain": 2, "all_local_allowed": false},
    "noise_density_w_per_hz": 4e-21,
    "users": [
      {"id": "u0", "position_m": [0, 1.5], "tx_power_w_max": 0.2, "memory_bytes_max": 1e9,
       "compute": {"clock_hz_max": 1e9, "flop_per_cycle": 8, "kappa_w_per_hz3": 1e-27},
       "profile": "p"},
      {"id": "u1", "position_m": [-3, 0], "tx_power_w_max": 0.1, "memory_bytes_max": 1e9,
       "compute": {"clock_hz_max": 2e9, "flop_per_cycle": 8, "kappa_w_per_hz3": 0},
       "profile": "p"}],
    "servers": [
      {"id": "s0", "position_m": [5, 5], "bandwidth_hz": 1e6, "tx_power_w_max": 10, "slots": 1,
       "compute": {"clock_hz_max": 3e9, "flop_per_cycle": 64, "kappa_w_per_hz3": 1e-28}},
      {"id": "s1", "position_m": [9, 5], "bandwidth_hz": 1e6, "tx_power_w_max": 10,
       "compute": {"clock_hz_max": 3e9, "flop_per_cycle": 64, "kappa_w_per_hz3": 1e-28}}],
    "profiles": {"p": {"local_flop": [0, 1e9, 2e9], "server_flop": [4e9, 2e9, 0],
                       "upload_bit": [1e5, 2e5, 0], "download_bit": [2e5, 1e5, 0],
                       "local_memory_bytes": [0, 1e6, 2e6]}},
    "gain": {"dense": [[1e-9, 2e-9], [0, 3e-9]]}})");
}

Expected<Scenario> Parse(const json& document) {
  return ParseScenario("s.json", document.dump());
}

std::string ErrorAfter(const std::function<void(json&)>& change) {
  json document = TwoByTwo();
  change(document);
  const auto scenario = Parse(document);
  return scenario ? "" : scenario.error().Text();
}

TEST(ScenarioFile, ReadsEveryMember) {
  const auto scenario = Parse(TwoByTwo());
  ASSERT_TRUE(scenario) << scenario.error().Text();
  EXPECT_EQ(scenario->objective.delay, DelayMode::kSum);
  EXPECT_FALSE(scenario->objective.all_local_allowed);
  EXPECT_EQ(scenario->users[0].position_m.y_m, 1.5);
  EXPECT_EQ(scenario->users[1].compute.clock_hz_max, 2e9);
  EXPECT_EQ(scenario->servers[0].slots, 1);
  EXPECT_EQ(scenario->servers[1].slots, std::nullopt);
  EXPECT_EQ(scenario->ProfileOf(scenario->users[0]).layers(), 2);
  ASSERT_EQ(scenario->links[1].size(), 1u);  // Gain 0: no link.
  EXPECT_EQ(scenario->links[1][0].server, 1);
  EXPECT_EQ(scenario->links[1][0].gain, 3e-9);
}

TEST(ScenarioFile, NamesAreOptionalAndKept) {
  json named = TwoByTwo();
  named["servers"][1]["name"] = "Stra\u00dfe 1, \"north\"";
  const auto scenario = Parse(named);
  ASSERT_TRUE(scenario) << scenario.error().Text();
  EXPECT_EQ(scenario->servers[0].name, "");
  EXPECT_EQ(ParseScenario("s.json", WriteScenario(*scenario))->servers[1].name,
            "Stra\u00dfe 1, \"north\"");
}

TEST(ScenarioFile, SparseAndDenseGainsSayTheSame) {
  json sparse = TwoByTwo();
  sparse["gain"] = {{"sparse", {{1, 1, 3e-9}, {0, 1, 2e-9}, {0, 0, 1e-9}}}};
  const auto from_sparse = Parse(sparse);
  ASSERT_TRUE(from_sparse) << from_sparse.error().Text();
  EXPECT_EQ(WriteScenario(*from_sparse), WriteScenario(*Parse(TwoByTwo())));
}

TEST(ScenarioFile, RoundTripsEveryBitOfGeneratedScenarios) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    GeneratorOptions options;
    options.delay = seed % 2 == 0 ? DelayMode::kSum : DelayMode::kMakespan;
    options.compute_energy =
        seed % 3 == 0 ? ComputeEnergy::kConstantPerFlop : ComputeEnergy::kCubicPower;
    const auto scenario = GenerateStudy(
        static_cast<int>(1 + seed), 1 + static_cast<int>(seed % 4), options, Rng(seed));
    ASSERT_TRUE(scenario) << scenario.error().Text();
    const std::string text = WriteScenario(*scenario);
    const auto again = ParseScenario("s.json", text);
    ASSERT_TRUE(again) << again.error().Text();
    EXPECT_EQ(WriteScenario(*again), text);
    for (std::size_t n = 0; n < scenario->users.size(); ++n) {
      EXPECT_EQ(again->users[n].compute.kappa_w_per_hz3,
                scenario->users[n].compute.kappa_w_per_hz3);
      EXPECT_EQ(again->users[n].compute.energy_j_per_flop,
                scenario->users[n].compute.energy_j_per_flop);
      EXPECT_EQ(again->ProfileOf(again->users[n]).server_flop,
                scenario->ProfileOf(scenario->users[n]).server_flop);
      ASSERT_EQ(again->links[n].size(), scenario->links[n].size());
      for (std::size_t i = 0; i < again->links[n].size(); ++i) {
        EXPECT_EQ(again->links[n][i].gain, scenario->links[n][i].gain);
      }
    }
  }
}

TEST(ScenarioFile, ErrorsNameFilePathRuleAndValue) {
  EXPECT_EQ(ErrorAfter([](json& s) { s["servers"][1]["bandwidth_hz"] = -1e6; }),
            "s.json: servers[1].bandwidth_hz: must be a number > 0, got -1000000.0");
  EXPECT_EQ(ErrorAfter([](json& s) { s["users"][1]["id"] = "u0"; }),
            "s.json: users[1].id: must be unique, got \"u0\", the id of users[0]");
  EXPECT_EQ(ErrorAfter([](json& s) { s["schema"] = "dashf.scenario/2"; }),
            "s.json: schema: must be \"dashf.scenario/1\", got \"dashf.scenario/2\"");
  EXPECT_EQ(ErrorAfter([](json& s) { s["users"][0]["colour"] = "red"; }),
            "s.json: users[0].colour: unknown key, got \"red\"");
  EXPECT_EQ(ErrorAfter([](json& s) {
              s["profiles"]["p"]["upload_bit"] = {1, 0};
            }),
            "s.json: profiles.p.upload_bit: must have as many entries as local_flop (3), got 2");
}

struct BadChange {
  const char* what;
  std::function<void(json&)> change;
  const char* text;  // Part of the error.
};

TEST(ScenarioFile, RefusesWhateverBreaksARule) {
  const BadChange cases[] = {
      {"unknown delay mode", [](json& s) { s["objective"]["delay"] = "mean"; }, "objective.delay"},
      {"no weight",
       [](json& s) {
         s["objective"]["delay_weight_per_s"] = 0;
         s["objective"]["energy_weight_per_j"] = 0;
       },
       "nothing has a cost"},
      {"score without gain", [](json& s) { s["objective"]["score_gain"] = 0; }, "score_gain"},
      {"noise 0", [](json& s) { s["noise_density_w_per_hz"] = 0; }, "noise_density_w_per_hz"},
      {"missing key", [](json& s) { s.erase("gain"); }, "missing key \"gain\""},
      {"a number as text", [](json& s) { s["users"][0]["memory_bytes_max"] = "1e9"; }, "users[0]"},
      {"null", [](json& s) { s["users"][0]["tx_power_w_max"] = nullptr; }, "tx_power_w_max"},
      {"one coordinate", [](json& s) { s["users"][0]["position_m"] = {1}; }, "position_m"},
      {"unknown profile", [](json& s) { s["users"][1]["profile"] = "q"; }, "users[1].profile"},
      {"a path as id", [](json& s) { s["users"][0]["id"] = "../u0"; }, "users[0].id"},
      {"empty id", [](json& s) { s["servers"][0]["id"] = ""; }, "servers[0].id"},
      {"fractional slots", [](json& s) { s["servers"][0]["slots"] = 1.5; }, "servers[0].slots"},
      {"negative slots", [](json& s) { s["servers"][0]["slots"] = -1; }, "servers[0].slots"},
      {"one row", [](json& s) { s["profiles"]["p"]["local_flop"] = {0}; }, "L + 1 >= 2"},
      {"work for k = 0",
       [](json& s) { s["profiles"]["p"]["local_flop"][0] = 1; },
       "local_flop[0]: must be 0"},
      {"server work for k = L",
       [](json& s) { s["profiles"]["p"]["server_flop"][2] = 1; },
       "server_flop[2]: must be 0"},
      {"upload for k = L",
       [](json& s) { s["profiles"]["p"]["upload_bit"][2] = 1; },
       "upload_bit[2]: must be 0"},
      {"download for k = L",
       [](json& s) { s["profiles"]["p"]["download_bit"][2] = 1; },
       "download_bit[2]: must be 0"},
      {"negative gain", [](json& s) { s["gain"]["dense"][0][0] = -1; }, "gain.dense[0][0]"},
      {"a short gain row", [](json& s) { s["gain"]["dense"][0] = {1e-9}; }, "gain.dense[0]"},
      {"a missing gain row", [](json& s) { s["gain"]["dense"].erase(1); }, "gain.dense"},
      {"both gains", [](json& s) { s["gain"]["sparse"] = json::array(); }, "either"},
      {"a link to nowhere",
       [](json& s) {
         s["gain"] = {{"sparse", {{0, 2, 1e-9}}}};
       },
       "gain.sparse[0]"},
      {"a link at half an index",
       [](json& s) {
         s["gain"] = {{"sparse", {{0.5, 1, 1e-9}}}};
       },
       "gain.sparse[0]"},
      {"a link given twice",
       [](json& s) {
         s["gain"] = {{"sparse", {{0, 1, 1e-9}, {0, 1, 2e-9}, {1, 1, 1e-9}}}};
       },
       "each server once"},
      {"no users",
       [](json& s) {
         s["users"] = json::array();
         s["gain"]["dense"] = json::array();
       },
       "users: must not be empty"}};
  for (const BadChange& bad : cases) {
    json document = TwoByTwo();
    bad.change(document);
    const auto scenario = Parse(document);
    ASSERT_FALSE(scenario) << bad.what;
    EXPECT_EQ(scenario.error().kind, ErrorKind::kBadInput) << bad.what;
    EXPECT_THAT(scenario.error().Text(), AllOf(HasSubstr("s.json"), HasSubstr(bad.text)))
        << bad.what;
  }
}

TEST(ScenarioFile, IsTheSameFromDiskAndNamedByTheDigestOfItsBytes) {
  const std::string path = ::testing::TempDir() + "scenario_io_test.json";
  const std::string text = WriteScenario(*GenerateStudy(700, 9, {}, Rng(1)));
  ASSERT_TRUE(WriteFileAtomically(path, text));
  const auto loaded = ReadScenario(path);
  ASSERT_TRUE(loaded) << loaded.error().Text();
  EXPECT_EQ(loaded->sha256, Sha256Hex(text));
  EXPECT_EQ(WriteScenario(loaded->scenario), text);
}

TEST(ScenarioFile, LargerThanTheLimitIsRefusedByNameSizeAndLimitBeforeItIsRead) {
  const std::string path = ::testing::TempDir() + "scenario_io_test_large.json";
  ASSERT_TRUE(WriteFileAtomically(path, "{"));
  std::filesystem::resize_file(path, std::uintmax_t{5} << 30);
  EXPECT_EQ(ReadScenario(path).error().Text(),
            path + ": must be at most 4294967296 bytes, has 5368709120");
  std::filesystem::remove(path);
}

TEST(ScenarioFile, RefusesNanAndOverflow) {
  for (const char* number : {"NaN", "Infinity", "1e999"}) {
    std::string text = TwoByTwo().dump();
    const std::string noise = "\"noise_density_w_per_hz\":4e-21";
    const auto at = text.find(noise);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, noise.size(), std::string("\"noise_density_w_per_hz\":") + number);
    const auto scenario = ParseScenario("s.json", text);
    ASSERT_FALSE(scenario) << number;
    EXPECT_EQ(scenario.error().kind, ErrorKind::kBadInput);
    EXPECT_THAT(scenario.error().Text(), HasSubstr("s.json"));
  }
}

TEST(ScenarioFile, ReadsAHundredThousandUsersInBoundedTime) {
  json document = TwoByTwo();
  const json user = document["users"][1];
  document["users"] = json::array();
  document["gain"] = {{"sparse", json::array()}};
  for (int n = 0; n < 100'000; ++n) {
    document["users"].push_back(user);
    document["users"].back()["id"] = fmt::format("u{}", n);
    document["gain"]["sparse"].push_back({n, n % 2, 1e-9});
  }
  document["servers"][0]["slots"] = 50'000;
  const std::string text = document.dump();
  const auto start = std::chrono::steady_clock::now();
  const auto scenario = ParseScenario("s.json", text);
  const auto elapsed = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(scenario) << scenario.error().Text();
  EXPECT_EQ(scenario->users.size(), 100'000u);
  // About 1 s in a release build; a quadratic step anywhere would take many minutes.
  EXPECT_LT(elapsed, std::chrono::seconds(30));
}

}  // namespace
}  // namespace dashf
