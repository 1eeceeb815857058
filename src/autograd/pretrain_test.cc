#include "autograd/pretrain.h"

#include <gmock/gmock.h>

#include <cmath>

#include "train/testing.h"

namespace dashf::autograd {
namespace {

using train::Model;
using train::ModelConfig;
using train::RandomModel;
// A stream in which each token fixes the next: 1, 2, ..., 8, 1, 2, ... A model that has learnt it
// has no uncertainty left, one that has not stands at ln 31 = 3.4.
std::vector<int> Cycle(int count) {
  std::vector<int> stream;
  for (int i = 0; i < count; ++i) stream.push_back(1 + i % 8);
  return stream;
}

PretrainOptions ShortRun() {
  PretrainOptions options;
  options.steps = 60;
  options.batch_size = 4;
  options.sequence_length = 12;
  options.learning_rate = 2e-2;
  options.warmup_steps = 5;
  return options;
}

TEST(Pretrain, LearnsADeterministicStreamAndReportsIt) {
  for (const bool tied : {false, true}) {
    ModelConfig config = train::testing::TinyConfig();
    config.tied_embeddings = tied;
    PretrainOptions options = ShortRun();
    PretrainReport last;
    options.on_report = [&](const PretrainReport& report, const Model&) {
      last = report;
      return true;
    };
    const auto model = Pretrain(RandomModel(config, 1), Cycle(200), Cycle(50), options);
    ASSERT_TRUE(model) << model.error().Text();
    EXPECT_EQ(last.step, 60);
    EXPECT_EQ(last.tokens, 60 * 4 * 12);
    EXPECT_LT(last.validation_loss, 0.1);
  }
}

TEST(Pretrain, LeavesTheInitialModelAsItWasAndRepeatsBitForBit) {
  const Model initial = RandomModel(train::testing::TinyConfig(), 1);
  const auto embedding = [](const Model& model) {
    return llama::GetTensor("model.embed_tokens.weight", model.weights());
  };
  const std::vector<float> before = embedding(initial);
  const auto first = Pretrain(initial, Cycle(200), Cycle(50), ShortRun());
  const auto second = Pretrain(initial, Cycle(200), Cycle(50), ShortRun());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(embedding(initial), before);
  EXPECT_EQ(embedding(*first), embedding(*second));
  EXPECT_NE(embedding(*first), before);
}

TEST(Pretrain, RefusesAStreamThatIsTooShortOrForeign) {
  const Model initial = RandomModel(train::testing::TinyConfig(), 1);
  EXPECT_FALSE(Pretrain(initial, Cycle(12), Cycle(50), ShortRun()));
  const std::vector<int> foreign(50, 31);
  EXPECT_FALSE(Pretrain(initial, Cycle(200), foreign, ShortRun()));
}

}  // namespace
}  // namespace dashf::autograd
