#include "train/phases.h"

#include <gmock/gmock.h>

#include <thread>

#include "train/compute.h"
#include "train/evaluate.h"
#include "train/loss_watch.h"
#include "train/testing.h"
#include "train/trained_parameters.h"

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

TEST(Phases, HiddenStatesInAFileGiveTheSameBytes) {
  const Fixture setup;
  Adapter in_memory = setup.adapter, in_file = setup.adapter;
  ASSERT_TRUE(TrainServerPhase(setup.model, setup.examples, 2, setup.options, &in_memory));
  TrainOptions options = setup.options;
  options.cache_folder = ::testing::TempDir();
  ASSERT_TRUE(TrainServerPhase(setup.model, setup.examples, 2, options, &in_file));
  EXPECT_EQ(in_file, in_memory);
  options.cache_folder = "/dev/null/folder";
  const auto refused = TrainServerPhase(setup.model, setup.examples, 2, options, &in_file);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kIo);
  EXPECT_THAT(refused.error().Text(), HasSubstr("/dev/null/folder: cannot hold the hidden states"));
  EXPECT_EQ(in_file, in_memory);
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

TEST(Phases, LayersComputedAgainGiveTheSameBytes) {
  Fixture setup;
  setup.options.accumulate = 2;
  TrainOptions again = setup.options;
  again.recompute = true;
  const AdapterConfig prompts{.kind = AdapterKind::kAdaptionPrompt, .prompt = {.length = 4}};
  for (const Adapter& initial : {setup.adapter, *InitialAdapter(TinyConfig(), prompts, 3)}) {
    for (const auto& [first, last] : {std::pair{1, 3}, std::pair{1, 2}, std::pair{2, 3}}) {
      for (const auto objective : {UserObjective::kEarlyExit, UserObjective::kFullDepth}) {
        const auto train = [&](const TrainOptions& options, Adapter* adapter) {
          return TrainLayers(setup.model, setup.examples, first, last, objective, options, adapter);
        };
        Adapter kept = initial, recomputed = initial;
        const auto one = train(setup.options, &kept), other = train(again, &recomputed);
        ASSERT_TRUE(one && other);
        EXPECT_EQ(one->losses, other->losses);
        EXPECT_EQ(kept, recomputed) << first << ".." << last;
        EXPECT_NE(kept, initial);
      }
    }
  }
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

TEST(Phases, AStepLimitEndsThePhaseInTheMidstOfAnEpoch) {
  const Fixture setup;
  Adapter trained = setup.adapter;
  TrainOptions options = setup.options;
  options.steps_max = 7;  // Of 3 an epoch.
  const auto report = TrainAllLayers(setup.model, setup.examples, options, &trained);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->steps, 7);
  EXPECT_FALSE(report->stopped);
}

TEST(Phases, EachStepTakesTheSchedulesRate) {
  const Fixture setup;
  Adapter trained = setup.adapter;
  TrainOptions options = setup.options;
  options.schedule = {.shape = ScheduleShape::kLinear, .warmup = 2};
  options.steps_max = 6;
  std::vector<double> rates;
  options.on_step = [&](const StepReport& step) {
    rates.push_back(step.learning_rate);
    return true;
  };
  ASSERT_TRUE(TrainAllLayers(setup.model, setup.examples, options, &trained));
  EXPECT_THAT(
      rates,
      ::testing::Pointwise(::testing::DoubleEq(), {0.5e-2, 1e-2, 1e-2, 0.75e-2, 0.5e-2, 0.25e-2}));
}

// The states of one uninterrupted training are what a training interrupted there would leave.
TEST(Phases, GoingOnFromAnyStepEndsWithTheSameBytes) {
  const Fixture setup;
  for (const int k : {0, 2}) {  // With the cache of hidden states and without.
    TrainOptions options = setup.options;
    options.schedule = {.shape = ScheduleShape::kCosine, .warmup = 0.2};
    options.accumulate = 2;
    std::vector<TrainingState> states;
    options.on_state = [&](const TrainingState& state) -> Expected<void> {
      states.push_back(state);
      return {};
    };
    Adapter whole = setup.adapter;
    const auto report = TrainServerPhase(setup.model, setup.examples, k, options, &whole);
    ASSERT_TRUE(report);
    ASSERT_EQ(states.size(), 8U);
    for (const TrainingState& state : states) {
      options.from = &state;
      TrainingState last;
      options.on_state = [&](const TrainingState& now) -> Expected<void> {
        last = now;
        return {};
      };
      Adapter resumed = setup.adapter;
      const auto rest = TrainServerPhase(setup.model, setup.examples, k, options, &resumed);
      ASSERT_TRUE(rest) << rest.error().Text();
      EXPECT_EQ(resumed, whole) << state.losses.size();
      EXPECT_EQ(rest->losses, report->losses);
      if (state.losses.size() < 8) {
        EXPECT_EQ(last, states.back());
      }
    }
  }
}

TEST(Phases, AStateOfAnotherPhaseIsRefused) {
  const Fixture setup;
  TrainOptions options = setup.options;
  TrainingState kept;
  options.on_state = [&](const TrainingState& state) -> Expected<void> {
    kept = state;
    return {};
  };
  Adapter trained = setup.adapter;
  ASSERT_TRUE(TrainServerPhase(setup.model, setup.examples, 1, options, &trained));
  options.from = &kept;
  const auto wider = TrainServerPhase(setup.model, setup.examples, 0, options, &trained);
  ASSERT_FALSE(wider);
  EXPECT_THAT(wider.error().Text(), HasSubstr("state: must have"));
  options.epochs = 1;
  const auto shorter = TrainServerPhase(setup.model, setup.examples, 1, options, &trained);
  ASSERT_FALSE(shorter);
  EXPECT_THAT(shorter.error().Text(), HasSubstr("at most 3 steps, is after 12"));
}

TEST(Phases, AStateThatCannotBeKeptEndsThePhase) {
  const Fixture setup;
  TrainOptions options = setup.options;
  int steps = 0;
  options.on_state = [&](const TrainingState&) -> Expected<void> {
    if (++steps < 3) return {};
    return Fail(ErrorKind::kIo, "disk", "is full");
  };
  Adapter trained = setup.adapter;
  const auto report = TrainAllLayers(setup.model, setup.examples, options, &trained);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().Text(), "disk: is full");
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(trained, setup.adapter);
}

// A rate that rises without end first learns something, then forgets it.
// The rate is too small to change a loss beyond its rounding: the losses are the base model's on
// each example, in the order of the seed, and a factor between their two highest rises tells when
// they explode, whatever rounds how.
TEST(Phases, ALossThatExplodesLeavesTheAdapterWhereItWasLeast) {
  const Fixture setup;
  TrainOptions options = setup.options;
  options.epochs = 4;
  options.batch_size = 1;
  options.learning_rate = 1e-9;
  options.seed = 3;  // One whose first example does not have the least loss.
  options.explosion_factor = std::numeric_limits<double>::infinity();
  Adapter throughout = setup.adapter;
  const auto whole = TrainAllLayers(setup.model, setup.examples, options, &throughout);
  ASSERT_TRUE(whole);
  double highest = 1.0, second = 1.0;
  LossWatch watch(options.explosion_factor);
  for (const double loss : whole->losses) {
    watch.Add(loss);
    const double rise = watch.smoothed() / watch.best();
    if (rise <= highest) continue;
    second = std::exchange(highest, rise);
  }
  ASSERT_GT(watch.best(), 1.0);
  ASSERT_GT(highest - second, 1e-4);
  options.explosion_factor = (highest + second) / 2;
  std::vector<TrainingState> states;
  options.on_state = [&](const TrainingState& state) -> Expected<void> {
    states.push_back(state);
    return {};
  };
  Adapter trained = setup.adapter;
  const auto report =
      TrainLayers(setup.model, setup.examples, 1, 3, UserObjective::kFullDepth, options, &trained);
  ASSERT_TRUE(report) << report.error().Text();
  ASSERT_TRUE(report->divergence);
  EXPECT_THAT(report->divergence->reason, HasSubstr("smoothed loss"));
  EXPECT_EQ(report->divergence->step, report->steps + 1);
  const int kept = report->divergence->best_steps;
  ASSERT_GE(kept, 1);
  ASSERT_LT(kept, report->steps);
  Adapter expected = setup.adapter;
  SetTrainedParameters(states[static_cast<std::size_t>(kept) - 1].parameters, 0, 3, &expected);
  EXPECT_EQ(trained, expected);

  options.on_state = {};
  Adapter unchanged = setup.adapter;
  const auto error = TrainAllLayers(setup.model, setup.examples, options, &unchanged);
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().kind, ErrorKind::kNumerical);
  EXPECT_EQ(unchanged, setup.adapter);
}

// B at float's end makes the first loss infinite or not a number.
TEST(Phases, ALossThatIsNoNumberEndsThePhaseBeforeItsStep) {
  Fixture setup;
  for (float& b : setup.adapter.layers[0][1].b) b = 3e38F;
  Adapter trained = setup.adapter;
  const auto report = TrainLayers(
      setup.model, setup.examples, 1, 3, UserObjective::kFullDepth, setup.options, &trained);
  ASSERT_TRUE(report) << report.error().Text();
  ASSERT_TRUE(report->divergence);
  EXPECT_EQ(report->divergence->step, 1);
  EXPECT_EQ(report->divergence->best_steps, 0);
  EXPECT_EQ(report->steps, 0);
  EXPECT_EQ(trained, setup.adapter);
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
  wild = setup.options;
  wild.schedule.warmup = 2.5;
  EXPECT_THAT(error_text(1, wild), HasSubstr("warmup: must be a share below 1 or whole steps"));
  setup.examples[7].tokens[2] = 31;
  EXPECT_THAT(error_text(1, setup.options), HasSubstr("examples[7]: token 31 is not in [0, 31)"));
  setup.examples[7] = {{1, 2, 3}, 3};
  EXPECT_THAT(error_text(1, setup.options), HasSubstr("examples[7]: must have a prompt token"));
  EXPECT_EQ(setup.adapter, kept);
}

}  // namespace
}  // namespace dashf::train
