#include "train/phases.h"

#include <gmock/gmock.h>

#include <thread>

#include "train/compute.h"
#include "train/evaluate.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

using ::testing::HasSubstr;
using testing::RandomExamples;
using testing::TinyConfig;
using testing::TinyModel;

const LoraConfig kLora{.rank = 2, .alpha = 4.0, .targets = {"q_proj", "v_proj", "down_proj"}};

struct Fixture {
  Model model = TinyModel(TinyConfig(), 1);
  std::vector<corpus::Example> examples = RandomExamples(TinyConfig(), 12, 2);
  Adapter adapter = *InitialAdapter(TinyConfig(), {.lora = kLora}, 3);
  TrainOptions options = [] {
    TrainOptions chosen;
    chosen.epochs = 4;
    chosen.batch_size = 4;
    chosen.learning_rate = 1e-2;
    return chosen;
  }();
};

TEST(Phases, UserPhaseTrainsTheFirstLayersAlone) {
  for (const auto objective : {UserObjective::kEarlyExit, UserObjective::kFullDepth}) {
    const Fixture setup;
    Adapter trained = setup.adapter;
    const auto report =
        TrainUserPhase(setup.model, setup.examples, 2, objective, setup.options, &trained);
    ASSERT_TRUE(report) << report.error().Text();
    EXPECT_EQ(report->steps, 4 * 3);
    EXPECT_NE(trained.layers[0], setup.adapter.layers[0]);
    EXPECT_NE(trained.layers[1], setup.adapter.layers[1]);
    EXPECT_EQ(trained.layers[2], setup.adapter.layers[2]);
  }
}

TEST(Phases, ServerPhaseTrainsTheLastLayersAlone) {
  const Fixture setup;
  Adapter trained = setup.adapter;
  ASSERT_TRUE(TrainServerPhase(setup.model, setup.examples, 2, setup.options, &trained));
  EXPECT_EQ(trained.layers[0], setup.adapter.layers[0]);
  EXPECT_EQ(trained.layers[1], setup.adapter.layers[1]);
  EXPECT_NE(trained.layers[2], setup.adapter.layers[2]);
}

TEST(Phases, PromptsTrainByTheSamePhases) {
  const Fixture setup;
  const AdapterConfig config{.kind = AdapterKind::kAdaptionPrompt, .prompt = {.length = 4}};
  const Adapter initial = *InitialAdapter(TinyConfig(), config, 3);
  Adapter trained = initial;
  const auto user = TrainUserPhase(
      setup.model, setup.examples, 2, UserObjective::kFullDepth, setup.options, &trained);
  ASSERT_TRUE(user) << user.error().Text();
  EXPECT_LT(user->losses.back(), user->losses.front());
  EXPECT_NE(trained.prompts[0], initial.prompts[0]);
  EXPECT_NE(trained.prompts[1], initial.prompts[1]);
  EXPECT_EQ(trained.prompts[2], initial.prompts[2]);
  const Adapter sent = trained;
  const auto server = TrainServerPhase(setup.model, setup.examples, 2, setup.options, &trained);
  ASSERT_TRUE(server) << server.error().Text();
  EXPECT_EQ(trained.prompts[0], sent.prompts[0]);
  EXPECT_EQ(trained.prompts[1], sent.prompts[1]);
  EXPECT_NE(trained.prompts[2], sent.prompts[2]);
}

TEST(Phases, NothingToTrainIsNoWork) {
  const Fixture setup;
  Adapter trained = setup.adapter;
  const auto user = TrainUserPhase(
      setup.model, setup.examples, 0, UserObjective::kEarlyExit, setup.options, &trained);
  const auto server = TrainServerPhase(setup.model, setup.examples, 3, setup.options, &trained);
  ASSERT_TRUE(user && server);
  EXPECT_EQ(user->steps + server->steps, 0);
  EXPECT_EQ(trained, setup.adapter);
}

// Overfitting a dozen random sequences: AdamW must drive the loss far below its start, and Evaluate
// must agree that it fell.
TEST(Phases, TrainingLowersTheLossOnItsOwnData) {
  Fixture setup;
  setup.options.epochs = 60;
  const auto before = Evaluate(setup.model, &setup.adapter, setup.examples);
  ASSERT_TRUE(TrainAllLayers(setup.model, setup.examples, setup.options, &setup.adapter));
  const auto after = Evaluate(setup.model, &setup.adapter, setup.examples);
  ASSERT_TRUE(before && after);
  EXPECT_LT(after->loss, 0.5 * before->loss);
}

// With full depth and k = L, the user phase is the centralised training: the same bytes.
TEST(Phases, AllLocalAtFullDepthEqualsAllServer) {
  const Fixture setup;
  Adapter local = setup.adapter, server = setup.adapter;
  ASSERT_TRUE(TrainUserPhase(
      setup.model, setup.examples, 3, UserObjective::kFullDepth, setup.options, &local));
  ASSERT_TRUE(TrainServerPhase(setup.model, setup.examples, 0, setup.options, &server));
  EXPECT_EQ(local, server);
}

TEST(Phases, SameSeedAndThreadsGiveTheSameBytesInAnyThread) {
  const Fixture setup;
  Adapter first = setup.adapter, second = setup.adapter, other = setup.adapter;
  ASSERT_TRUE(TrainServerPhase(setup.model, setup.examples, 1, setup.options, &first));
  std::thread([&] {
    ASSERT_TRUE(TrainServerPhase(setup.model, setup.examples, 1, setup.options, &second));
  }).join();
  TrainOptions reseeded = setup.options;
  reseeded.seed = 2;
  ASSERT_TRUE(TrainServerPhase(setup.model, setup.examples, 1, reseeded, &other));
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
}

TEST(Phases, TheCallbackStopsThePhase) {
  const Fixture setup;
  Adapter trained = setup.adapter;
  TrainOptions options = setup.options;
  options.on_step = [](const StepReport& step) { return step.step < 5; };
  const auto report = TrainAllLayers(setup.model, setup.examples, options, &trained);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->stopped);
  EXPECT_EQ(report->steps, 5);
}

TEST(Phases, BadArgumentsAreNamedAndChangeNothing) {
  Fixture setup;
  const Adapter kept = setup.adapter;
  const auto error_text = [&](int k, const TrainOptions& options) {
    const auto report = TrainServerPhase(setup.model, setup.examples, k, options, &setup.adapter);
    return report ? std::string("accepted") : report.error().Text();
  };
  EXPECT_THAT(error_text(4, setup.options), HasSubstr("split: must be in [0, 3], got 4"));
  TrainOptions wild = setup.options;
  wild.learning_rate = -1.0;
  EXPECT_THAT(error_text(1, wild), HasSubstr("learning_rate: must be in (0, 1], got -1"));
  setup.examples[7].tokens[2] = 31;
  EXPECT_THAT(error_text(1, setup.options), HasSubstr("examples[7]: token 31 is not in [0, 31)"));
  setup.examples[7] = {{1, 2, 3}, 3};
  EXPECT_THAT(error_text(1, setup.options), HasSubstr("examples[7]: must have a prompt token"));
  EXPECT_EQ(setup.adapter, kept);
}

}  // namespace
}  // namespace dashf::train
