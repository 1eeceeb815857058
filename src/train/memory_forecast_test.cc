#include "train/memory_forecast.h"

#include <gmock/gmock.h>

#include <limits>

#include "llama/engine.h"
#include "train/adapter_layout.h"
#include "train/batch_order.h"
#include "train/sequences.h"
#include "train/testing.h"
#include "train/trained_parameters.h"

namespace dashf::train {
namespace {

using testing::RandomAdapter;
using testing::RandomExamples;
using testing::TinyConfig;
using testing::TinyModel;

const LoraConfig kLora{.rank = 2, .alpha = 4.0, .targets = {"q_proj", "v_proj", "down_proj"}};
constexpr int kLayers = 3;

struct Fixture {
  Model model = TinyModel(TinyConfig(), 1);
  std::vector<corpus::Example> examples = RandomExamples(TinyConfig(), 37, 2);
  Adapter adapter = RandomAdapter(TinyConfig(), kLora, 3);
  TrainOptions options = [] {
    TrainOptions chosen;
    chosen.epochs = 2;
    chosen.batch_size = 4;
    return chosen;
  }();

  MemoryForecast Foretell(int first, int last, UserObjective objective) const {
    return ForetellMemory(
        model.config(), {}, examples, {}, first, last, objective, options, adapter);
  }
};

// What an engine has taken after every batch of the training went through it.
std::size_t TakenBytes(const Fixture& setup, const llama::LayerRange& range) {
  const llama::AdapterLayout layout = LayoutOf(&setup.adapter, setup.model.config());
  const std::vector<float> parameters = AllParameters(&setup.adapter);
  std::vector<float> gradient(parameters.size());
  const llama::Slot<float> slot{parameters.data(), gradient.data()};
  llama::Engine<float> engine(
      setup.model.weights(),
      layout,
      range,
      {.keep = setup.options.recompute ? llama::Keep::kInputs : llama::Keep::kAll,
       .threads = Threads(),
       .positions = LongestOf(setup.examples)});
  Rng order = Rng(setup.options.seed).Stream("batches");
  for (int epoch = 0; epoch < setup.options.epochs; ++epoch) {
    for (const auto& batch : BatchOrder(setup.examples, setup.options.batch_size, &order)) {
      engine.LossAndGradient(SequencesOf(setup.examples, batch), {&slot, 1});
    }
  }
  return engine.WorkspaceBytes();
}

TEST(MemoryForecast, HasThePassesThatTheEngineTakes) {
  Fixture setup;
  const struct {
    int last;
    UserObjective objective;
    llama::LayerRange range;
  } phases[] = {{kLayers, UserObjective::kFullDepth, {0, 0, 3, 3}},
                {2, UserObjective::kFullDepth, {0, 0, 2, 3}},
                {2, UserObjective::kEarlyExit, {0, 0, 2, 2}}};
  const auto rotary = static_cast<double>(LongestOf(setup.examples) * TinyConfig().head_dim * 4);
  for (const int threads : {1, 2, 3}) {
    SetThreads(threads);
    for (const bool recompute : {false, true}) {
      setup.options.recompute = recompute;
      for (const auto& [last, objective, range] : phases) {
        EXPECT_EQ(setup.Foretell(1, last, objective).passes,
                  rotary + static_cast<double>(TakenBytes(setup, range)))
            << threads << " threads, layers 1.." << last << " of " << range.end;
      }
    }
  }
  SetThreads(1);
}

TEST(MemoryForecast, HasTheWeightsAndTheHiddenStatesBelowTheFirstTrainedLayer) {
  const Fixture setup;
  const MemoryForecast forecast = setup.Foretell(2, kLayers, UserObjective::kFullDepth);
  EXPECT_EQ(forecast.weights, static_cast<double>(setup.model.weights().Bytes()));
  double rows = 0.0;  // The last token of an answer is predicted, not read.
  for (const corpus::Example& example : setup.examples) {
    rows += static_cast<double>(example.tokens.size()) - 1.0;
  }
  EXPECT_EQ(forecast.hidden_states, rows * TinyConfig().hidden_size * 4);
  EXPECT_EQ(setup.Foretell(1, kLayers, UserObjective::kFullDepth).hidden_states, 0.0);
}

// The same examples a step, in batches of 4, 2 and 1.
TEST(MemoryForecast, FallsAsBatchesAreDivided) {
  Fixture setup;
  double before = std::numeric_limits<double>::infinity();
  for (const int parts : {1, 2, 4}) {
    setup.options.batch_size = 4 / parts;
    setup.options.accumulate = parts;
    const double passes = setup.Foretell(1, kLayers, UserObjective::kFullDepth).passes;
    EXPECT_LT(passes, before);
    before = passes;
  }
}

// Scoring goes through 16 examples at once, which takes more than training in batches of one.
TEST(MemoryForecast, IsOfTheStageThatTakesMost) {
  Fixture setup;
  setup.options.batch_size = 1;
  setup.options.recompute = true;
  const auto foretell = [&](const std::vector<corpus::Example>& held_out) {
    return ForetellMemory(setup.model.config(),
                          {},
                          setup.examples,
                          held_out,
                          1,
                          kLayers,
                          UserObjective::kFullDepth,
                          setup.options,
                          setup.adapter)
        .Total();
  };
  EXPECT_GT(foretell(setup.examples), foretell({}));
  EXPECT_EQ(foretell({setup.examples.front()}), foretell({}));
}

}  // namespace
}  // namespace dashf::train
