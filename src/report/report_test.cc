#include "report/report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/file.h"
#include "base/rng.h"
#include "problem/plan_io.h"
#include "report/html.h"
#include "scenario/generator.h"
#include "scenario/scenario_io.h"

namespace dashf::report {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

json Phases(double seconds) {
  return {{"local", seconds}, {"upload", seconds}, {"server", seconds}, {"download", seconds}};
}

json NoPhases() {
  return {{"local", nullptr}, {"upload", nullptr}, {"server", nullptr}, {"download", nullptr}};
}

// Three users on two servers; u0 and u1 finished, u2's server was lost and nothing was measured.
class RunFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    GeneratorOptions options;
    options.name = "a <b>bold</b> \"name\"";
    const Scenario scenario = *GenerateStudy(3, 2, options, Rng(1));
    const std::string text = WriteScenario(scenario);
    sha256_ = Sha256Hex(text);
    Write("scenario.json", text);
    PlanDocument document;
    document.scenario_sha256 = sha256_;
    document.method = "dashf";
    document.version = "9.8.7";
    document.termination = Termination::kConverged;
    for (std::size_t n = 0; n < 3; ++n) {
      document.plan.push_back({.server = static_cast<int>(n % 2),
                               .local_layers = 2,
                               .local_clock_hz = 5e8,
                               .tx_power_w = 0.1,
                               .bandwidth_hz = 5e6,
                               .server_tx_power_w = 2.0,
                               .server_clock_hz = 4e8});
    }
    document.history = {{1, 0.5, 0.1, 0.01, "start"}, {2, 0.75, 0.0, 0.02, "<resources>"}};
    Write("plan.json", WritePlan(scenario, document));
  }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(folder_ / name, text));
  }

  json Round() const {
    json users = json::array();
    for (int n = 0; n < 3; ++n) {
      const bool failed = n == 2;
      json user = {{"id", fmt::format("u{}", n)},
                   {"server", "s0"},
                   {"local_layers", 2},
                   {"layers", 16},
                   {"state", failed ? "failed" : "done"},
                   {"failure", failed ? json("server <s1> was lost") : json(nullptr)},
                   {"predicted_s", Phases(10.0)},
                   {"measured_s", failed ? NoPhases() : Phases(0.5)},
                   {"measured_at_planned_s", failed ? NoPhases() : Phases(11.0 + 2 * n)}};
      for (const char* key :
           {"upload_bytes", "download_bytes", "choice_accuracy_before", "choice_accuracy_after"}) {
        user[key] = nullptr;
      }
      user["loss_before"] = 9.0;
      user["loss_after"] = failed ? json(nullptr) : json(2.0 + n);
      user["exact_match_before"] = 0.0;
      user["exact_match_after"] = failed ? json(nullptr) : json(0.25 + 0.5 * n);
      users.push_back(user);
    }
    const json reference = {
        {{"id", "u1"}, {"loss", 1.234}, {"exact_match", nullptr}, {"choice_accuracy", nullptr}}};
    return {{"schema", "dashf.round/1"},
            {"scenario_sha256", sha256_},
            {"model", "models/tiny"},
            {"seed", 42},
            {"state", "failed"},
            {"users", users},
            {"servers",
             {{{"id", "s0"}, {"state", "done"}, {"failure", nullptr}},
              {{"id", "s1"}, {"state", "failed"}, {"failure", "exit code 137"}}}},
            {"references", {{"all_server", reference}, {"centralised", json::array()}}},
            {"bound", {{"exhaustive_scr", 0.5}, {"gap", 0.0123}}}};
  }

  std::string Page() {
    const auto path = WriteReport(folder_);
    EXPECT_TRUE(path) << path.error().Text();
    return path ? *ReadFile(*path) : "";
  }

  std::filesystem::path folder_;
  std::string sha256_;
};
using Report = RunFolder;

TEST_F(Report, TimesThatPlansLearnFromAreTheClocks) {
  json round = Round();
  Write("round.json", round.dump());
  EXPECT_THAT(Page(), HasSubstr("at the plan's clocks and rates"));
  round["users"][0]["factors"]["compute"] = {{"factor", 2.0}, {"spread", 1.0}, {"phases", 1}};
  Write("round.json", round.dump());
  EXPECT_THAT(Page(),
              AllOf(HasSubstr("by the wall's clock, which plans learn from"),
                    Not(HasSubstr("at the plan's clocks and rates"))));
}

TEST_F(Report, WhatMetersCountedIsApartFromTheModelsFigures) {
  json round = Round();
  Write("round.json", round.dump());
  EXPECT_THAT(Page(), AllOf(HasSubstr("No meter was read."), Not(HasSubstr("<h3>Measured</h3>"))));
  round["users"][0]["local_energy_j"] = 1.5;
  round["users"][0]["server_energy_j"] = nullptr;
  round["users"][1]["local_energy_j"] = 2.0;
  round["users"][1]["server_energy_j"] = 40.0;
  Write("round.json", round.dump());
  const std::string none = WithUnit(std::nullopt, "J");
  EXPECT_THAT(Page(),
              AllOf(Not(HasSubstr("No meter was read.")),
                    HasSubstr("<h3>Measured</h3>"),
                    HasSubstr("<td class=\"t\">u0</td><td>" + WithUnit(1.5, "J") + "</td><td>" +
                              none + "</td></tr>\n<tr><td class=\"t\">u1</td><td>" +
                              WithUnit(2.0, "J") + "</td><td>" + WithUnit(40.0, "J") +
                              "</td></tr>\n<tr class=\"sum\"><td class=\"t\">all</td><td>" +
                              WithUnit(3.5, "J") + "</td><td>" + WithUnit(40.0, "J"))));
}

TEST_F(Report, EnergyIsThePlansPowerForAsLongAsAPhaseTook) {
  Write("round.json", Round().dump());
  const std::string page = Page();
  const auto loaded = ReadScenario((folder_ / "scenario.json").string());
  const auto plan = ReadPlan((folder_ / "plan.json").string(), *loaded);
  const UserEvaluation u0 = Evaluate(loaded->scenario, plan->plan).users[0];
  const auto cells = [](double planned_j, double factor) {
    return fmt::format("<td class=\"b\">{}</td><td>{}</td>",
                       WithUnit(planned_j, "J"),
                       WithUnit(planned_j * factor, "J"));
  };
  EXPECT_THAT(page, HasSubstr("<h2>Energy</h2>"));
  EXPECT_THAT(
      page,
      HasSubstr("<tr><td class=\"t\">u0</td>" + cells(u0.energy_j.local, 11.0 / u0.delay_s.local) +
                cells(u0.energy_j.upload, 11.0 / u0.delay_s.upload) +
                cells(u0.energy_j.server, 11.0 / u0.delay_s.server) +
                cells(u0.energy_j.download, 11.0 / u0.delay_s.download)));
  // u1 was planned at s1 and finished at s0.
  EXPECT_THAT(page,
              HasSubstr("<td>" + WithUnit(std::nullopt, "J") + "</td></tr>\n<tr class=\"sum\">"));
}

TEST_F(Report, APlanAloneGivesMapTableHistoryAndProvenance) {
  const std::string page = Page();
  EXPECT_THAT(page,
              AllOf(HasSubstr("<svg"),
                    HasSubstr(">u2</text>"),
                    HasSubstr("2 of 16"),
                    HasSubstr("0.75"),
                    HasSubstr("dashf 9.8.7"),
                    HasSubstr(sha256_)));
  EXPECT_THAT(page, Not(HasSubstr("What was learnt")));
  EXPECT_THAT(page, Not(HasSubstr("Against other methods")));
}

TEST_F(Report, NeedsNoNetworkAndNoScript) {
  Write("round.json", Round().dump());
  const std::string page = Page();
  for (const char* foreign : {"<script", "http://", "https://", "src=", "@import", "url(http"}) {
    EXPECT_THAT(page, Not(HasSubstr(foreign)));
  }
}

TEST_F(Report, EscapesWhateverComesFromFiles) {
  Write("round.json", Round().dump());
  Write("comparison.json", json({{"rows", {{{"method", "<i>m</i>"}, {"note", "a & b"}}}}}).dump());
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("a &lt;b&gt;bold&lt;/b&gt; &quot;name&quot;"));
  EXPECT_THAT(page, HasSubstr("server &lt;s1&gt; was lost"));
  EXPECT_THAT(page, HasSubstr("&lt;i&gt;m&lt;/i&gt;"));
  EXPECT_THAT(page, HasSubstr("a &amp; b"));
  EXPECT_THAT(page, HasSubstr("&lt;resources&gt;"));
  for (const char* raw : {"<b>bold", "<s1>", "<i>m", "a & b", "<resources>"}) {
    EXPECT_THAT(page, Not(HasSubstr(raw)));
  }
}

// u0 and u1 have both numbers: loss 9 -> (2 + 3) / 2, match 0 -> (25 + 75) / 2 %.
TEST_F(Report, AveragesOverUsersThatHaveBothNumbersAndNamesFailures) {
  Write("round.json", Round().dump());
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("9.000 → 2.500"));
  EXPECT_THAT(page, HasSubstr("0 % → 50 %"));
  EXPECT_THAT(page, HasSubstr("2 of 3"));
  EXPECT_THAT(page, HasSubstr("not finish for every user:</p><ul class=\"bad\">\n<li>user u2:"));
  EXPECT_THAT(page, HasSubstr("Servers that were not there at its end:</p>"));
  EXPECT_THAT(page, HasSubstr("exit code 137"));
  EXPECT_THAT(page, HasSubstr("1.234"));
  EXPECT_THAT(page, HasSubstr("1.23 %"));
  EXPECT_THAT(page, HasSubstr("models/tiny"));
}

// Predicted 10 s, measured 11 and 13 s: errors of 10 and 30 %, median 20 %, worst 30 %.
TEST_F(Report, ComparesPredictedAndMeasuredPhases) {
  Write("round.json", Round().dump());
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("<td class=\"t\">upload</td><td>2</td><td>20 %</td><td>30 %</td>"));
  EXPECT_THAT(page, HasSubstr("+10 %"));
}

TEST_F(Report, RanksMethodsAndShowsWhyOneGaveNoPlan) {
  const auto row = [](const char* method, double scr) {
    return json{{"method", method},
                {"scr", scr},
                {"score", 1},
                {"cost", 2},
                {"delay_s", 3},
                {"energy_j", 4},
                {"elapsed_s", 0.5},
                {"note", "converged"}};
  };
  const json none = {{"method", "all-local"}, {"scr", nullptr}, {"note", "not allowed"}};
  Write("comparison.json", json({{"rows", {row("greedy", 0.25), none, row("dashf", 0.5)}}}).dump());
  const std::string page = Page();
  const auto dashf = page.find(">dashf</td><td>0.5</td>");
  const auto greedy = page.find(">greedy</td><td>0.25</td>");
  ASSERT_NE(dashf, std::string::npos);
  ASSERT_NE(greedy, std::string::npos);
  EXPECT_LT(dashf, greedy);
  EXPECT_THAT(page, HasSubstr("50.0 %"));
  EXPECT_THAT(page, HasSubstr("not allowed"));
}

TEST_F(Report, OfALaterRoundSaysThatTheMethodsWereComparedOnAnotherScenario) {
  Write("comparison.json", json({{"rows", {{{"method", "dashf"}, {"note", ""}}}}}).dump());
  json round = Round();
  Write("round.json", round.dump());
  EXPECT_THAT(Page(), Not(HasSubstr("held against the table")));
  round["round"] = 3;
  for (json& user : round["users"]) {
    user["state"] = "done";
    user["failure"] = nullptr;
  }
  Write("round.json", round.dump());
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("is of round 3, in which 3 users"));
  EXPECT_THAT(page, Not(HasSubstr("did not finish")));
  EXPECT_THAT(page, HasSubstr("though every user is done:</p>"));
}

TEST_F(Report, NamesUsersThatWereInNoFirstPlan) {
  json round = Round();
  round["users"][0]["id"] = "late";
  round["users"][0]["failure"] = "had no part: drained by an operator";
  Write("round.json", round.dump());
  EXPECT_THAT(Page(),
              HasSubstr("<li>user late: had no part: drained by an operator (not in the round's "
                        "first plan)</li>"));
}

TEST_F(Report, RefusesBrokenFilesAndWritesNothing) {
  json round = Round();
  round["scenario_sha256"] = "0";
  Write("round.json", round.dump());
  const auto path = WriteReport(folder_);
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(path.error().Text(), HasSubstr("scenario_sha256"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "report.html"));
  EXPECT_EQ(WriteReport(folder_ / "nowhere").error().kind, ErrorKind::kIo);
}

TEST(WithUnit, KeepsThreeDigitsAndNamesNoKiloseconds) {
  EXPECT_EQ(WithUnit(5.2e6, "Hz"), "5.20 MHz");
  EXPECT_EQ(WithUnit(0.0334, "W"), "33.4 mW");
  EXPECT_EQ(WithUnit(999.9, "B"), "1.00 kB");
  EXPECT_EQ(WithUnit(5470.4, "s"), "5470 s");
  EXPECT_EQ(WithUnit(std::nullopt, "s"), "–");
  EXPECT_EQ(WithUnit(0.0, "J"), "0 J");
}

}  // namespace
}  // namespace dashf::report
