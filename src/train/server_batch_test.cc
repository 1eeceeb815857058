#include "train/server_batch.h"

#include <gmock/gmock.h>

#include <optional>

#include "train/testing.h"
#include "train/trained_parameters.h"

namespace dashf::train {
namespace {

using testing::RandomAdapter;
using testing::RandomExamples;
using testing::TinyConfig;
using testing::TinyModel;

const LoraConfig kLora{.rank = 2, .alpha = 4.0, .targets = {"q_proj", "v_proj", "down_proj"}};

struct Users {
  Model model = TinyModel(TinyConfig(), 1);
  std::vector<std::vector<corpus::Example>> examples;
  std::vector<Adapter> start, adapters;
  std::vector<BatchedUser> users;

  explicit Users(const std::vector<int>& splits) {
    for (std::size_t u = 0; u < splits.size(); ++u) {
      examples.push_back(RandomExamples(TinyConfig(), 5 + 2 * static_cast<int>(u), 20 + u));
      start.push_back(RandomAdapter(TinyConfig(), kLora, 3 + u));
    }
    adapters = start;
    for (std::size_t u = 0; u < splits.size(); ++u) {
      TrainOptions options;
      options.epochs = 1 + static_cast<int>(u % 2);
      options.batch_size = 2 + static_cast<int>(u);
      options.accumulate = u == 1 ? 2 : 1;
      options.learning_rate = 1e-3;
      options.seed = u;
      users.push_back({&examples[u], splits[u], options, &adapters[u]});
    }
  }

  std::vector<std::optional<Expected<PhaseReport>>> Train() {
    std::vector<std::optional<Expected<PhaseReport>>> reports(users.size());
    TrainServerBatch(model, users, [&](std::size_t user, const Expected<PhaseReport>& report) {
      EXPECT_FALSE(reports[user].has_value());
      reports[user] = report;
    });
    return reports;
  }

  void ExpectAsAlone(std::size_t u, const Expected<PhaseReport>& report) {
    SCOPED_TRACE(u);
    ASSERT_TRUE(report) << report.error().Text();
    Adapter alone = start[u];
    const auto own = TrainServerPhase(model, examples[u], users[u].k, users[u].options, &alone);
    ASSERT_TRUE(own);
    EXPECT_EQ(report->steps, own->steps);
    EXPECT_EQ(report->tokens, own->tokens);
    ASSERT_EQ(report->losses.size(), own->losses.size());
    for (std::size_t i = 0; i < own->losses.size(); ++i) {
      EXPECT_NEAR(report->losses[i], own->losses[i], 1e-5);
    }
    const auto a = AllParameters(&alone), b = AllParameters(&adapters[u]);
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4);
  }
};

TEST(ServerBatch, TrainsUsersOfDifferentSplitsStepsAndBatchesAsEachAlone) {
  Users setup({2, 0, 1, 3});
  const auto reports = setup.Train();
  for (std::size_t u = 0; u < 4; ++u) {
    ASSERT_TRUE(reports[u]);
    setup.ExpectAsAlone(u, *reports[u]);
  }
}

TEST(ServerBatch, AUserThatStopsOrIsRefusedLeavesTheOthersAlone) {
  Users setup({1, 0, 2, 1});
  setup.users[1].options.on_step = [](const StepReport& step) { return step.step < 2; };
  setup.users[2].options.learning_rate = -1.0;
  setup.users[3].options.on_state = [](const TrainingState&) -> Expected<void> {
    return Fail(ErrorKind::kIo, "state", "cannot be kept");
  };
  const auto reports = setup.Train();
  ASSERT_TRUE(reports[0] && reports[1] && reports[2] && reports[3]);
  setup.ExpectAsAlone(0, *reports[0]);
  EXPECT_TRUE((*reports[1])->stopped);
  EXPECT_EQ((*reports[1])->steps, 2);
  setup.ExpectAsAlone(1, *reports[1]);
  EXPECT_FALSE(*reports[2]);
  EXPECT_EQ(setup.adapters[2], setup.start[2]);
  EXPECT_FALSE(*reports[3]);
  EXPECT_EQ(setup.adapters[3], setup.start[3]);
}

}  // namespace
}  // namespace dashf::train
