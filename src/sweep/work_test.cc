#include "sweep/work.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "base/file.h"
#include "base/ranks_testing.h"
#include "sweep/summary.h"

namespace dashf::sweep {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Sweep : public ::testing::Test {
 protected:
  Sweep() {
    fs::remove_all(folder_);
    design_.varied = {{"users", {2, 3}}};
    design_.seeds = {1, 2, 3};
    design_.methods = {"best", "half"};
    design_.time_limit_s = 10.0;
  }
  ~Sweep() override { fs::remove_all(folder_); }

  Results Open() const { return Results::Open(folder_ / "results.jsonl", design_).value(); }

  // "best" earns what the scenario's first gain and the seed say, "half" half of it, and none with
  // seed 3.
  std::vector<Outcome> Solve(const Task& task) {
    ++solved_;
    const double scr =
        1e9 * task.scenario.links[0][0].gain + static_cast<double>(task.scenario.users.size());
    std::vector<Outcome> outcomes = {{"best", true, "converged", 0.5, scr, 1.0, 2.0, 3.0, 4.0}};
    if (task.seed == 3) {
      outcomes.push_back({"half", false, "too hard", 0.25});
    } else {
      outcomes.push_back({"half", true, "stalled", 0.25, scr / 2, 1.0, 2.0, 6.0, 4.0});
    }
    return outcomes;
  }
  sweep::Solve Solver() {
    return [this](const Task& task) { return Solve(task); };
  }

  const fs::path folder_ =
      fs::path(::testing::TempDir()) / ("dashf_sweep_" + std::to_string(::getpid()));
  Design design_;
  std::atomic<int> solved_ = 0;
};

TEST_F(Sweep, PlansEveryScenarioOnceAndGoesOnFromItsFile) {
  {
    Results results = Open();
    std::size_t last = 0;
    const WorkOptions options{.jobs = 3, .on_done = [&](std::size_t done, std::size_t of, auto&) {
                                EXPECT_EQ(done, last + 1);
                                EXPECT_EQ(of, 6U);
                                last = done;
                              }};
    ASSERT_TRUE(WorkOff(design_, Solver(), options, &results));
    EXPECT_EQ(solved_, 6);
  }
  // Killed in mid-line, and with one more seed: that line and the new scenarios are done.
  const fs::path path = folder_ / "results.jsonl";
  fs::resize_file(path, fs::file_size(path) - 5);
  design_.seeds.push_back(4);
  Results results = Open();
  ASSERT_TRUE(WorkOff(design_, Solver(), {}, &results));
  EXPECT_EQ(solved_, 6 + 1 + 2);
}

TEST_F(Sweep, OtherSettingsAreAnotherStudy) {
  Open();
  design_.methods = {"best"};
  const auto other = Results::Open(folder_ / "results.jsonl", design_);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kUsage);
  EXPECT_THAT(other.error().Text(), HasSubstr("methods"));
}

TEST_F(Sweep, AScenarioThatCannotBeMadeIsEveryMethodsFailure) {
  design_.fixed.options.bandwidth_hz = -1.0;
  Results results = Open();
  ASSERT_TRUE(WorkOff(design_, Solver(), {}, &results));
  EXPECT_EQ(solved_, 0);
  for (const SummaryRow& row : Summarise(design_, results)) EXPECT_EQ(row.failed, 3);
  EXPECT_THAT(results.Find({{2}, 1})->front().note, HasSubstr("bandwidth"));
}

TEST_F(Sweep, AnyNumberOfRanksHasTheSameResults) {
  Results alone = Open();
  ASSERT_TRUE(WorkOff(design_, Solver(), {}, &alone));
  for (const int count : {1, 2, 4}) {
    const fs::path path = folder_ / std::to_string(count) / "results.jsonl";
    Results results = Results::Open(path, design_).value();
    dashf::testing::OnRanks(count, [&](Ranks* ranks) {
      if (ranks->rank() > 0) return WorkForRankZero(Solver(), ranks);
      EXPECT_TRUE(WorkOff(design_, Solver(), {.ranks = ranks}, &results));
    });
    for (const Job& job : JobsOf(design_)) {
      ASSERT_TRUE(results.Find(job) && alone.Find(job));
      EXPECT_EQ(*results.Find(job), *alone.Find(job));
    }
  }
}

TEST_F(Sweep, TheSummaryHasMeansOverThePlansThatThereAre) {
  Results results = Open();
  ASSERT_TRUE(WorkOff(design_, Solver(), {}, &results));
  const auto rows = Summarise(design_, results);
  ASSERT_EQ(rows.size(), 4U);
  const SummaryRow& best = rows[2];
  EXPECT_EQ(best.point, std::vector<double>{3});
  EXPECT_EQ(best.method, "best");
  EXPECT_EQ(best.scr.values, 3);
  double mean = 0.0;
  for (const std::uint64_t seed : design_.seeds) mean += results.Find({{3}, seed})->front().scr / 3;
  EXPECT_NEAR(best.scr.mean, mean, 1e-12 * mean);
  EXPECT_EQ(best.share_of_best.mean, 1.0);
  const SummaryRow& half = rows[3];
  EXPECT_EQ(half.failed, 1);
  EXPECT_EQ(half.scr.values, 2);
  EXPECT_DOUBLE_EQ(half.share_of_best.mean, 0.5);
  EXPECT_DOUBLE_EQ(half.delay_s, 6.0);
  EXPECT_THAT(SummaryCsv(design_, rows),
              HasSubstr("users,method,seeds,failed,scr,scr_half_width,share_of_best"));
  EXPECT_THAT(SummaryCsv(design_, rows), HasSubstr("\n3.0,half,2,1,"));
}

}  // namespace
}  // namespace dashf::sweep
