#include "train/step_gradient.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "train/phases.h"
#include "train/testing.h"
#include "train/trained_parameters.h"

namespace dashf::train {
namespace {

using testing::RandomAdapter;
using testing::RandomExamples;
using testing::TinyConfig;
using testing::TinyModel;

const LoraConfig kLora{.rank = 2, .alpha = 4.0, .targets = {"q_proj", "v_proj", "down_proj"}};

// The loss is a mean per answer token, and examples differ in these: parts of unequal weight.
TEST(StepGradient, SeveralBatchesGiveTheGradientOfOneThatHoldsThemAll) {
  const Model model = TinyModel(TinyConfig(), 1);
  const auto examples = RandomExamples(TinyConfig(), 11, 2);
  const Adapter adapter = RandomAdapter(TinyConfig(), kLora, 3);
  for (const Phase& phase : {Phase{0, 3, 3, 0}, Phase{0, 2, 2, 0}, Phase{1, 3, 3, 1}}) {
    const auto parameters = TrainedParameters(adapter, phase.first_trained, phase.last_trained);
    const auto computation = NativePhaseGradient(model, examples, phase, adapter, 4, false);
    std::vector<std::size_t> all(examples.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    std::vector<float> scratch(parameters.size()), whole(parameters.size());
    const double whole_loss =
        StepGradient(examples, all, 11, parameters, computation.get(), scratch, whole);
    const double largest = std::abs(*std::max_element(
        whole.begin(), whole.end(), [](float a, float b) { return std::abs(a) < std::abs(b); }));
    ASSERT_GT(largest, 0.0);
    for (const int batch_size : {1, 3, 4}) {
      std::vector<float> parts(parameters.size());
      const double loss =
          StepGradient(examples, all, batch_size, parameters, computation.get(), scratch, parts);
      EXPECT_NEAR(loss, whole_loss, 1e-5 * whole_loss);
      for (std::size_t i = 0; i < parts.size(); ++i) {
        ASSERT_NEAR(parts[i], whole[i], 1e-5 * largest) << batch_size << ": " << i;
      }
    }
  }
}

// Ten examples a step do not divide 33, so an epoch's last step is short.
TEST(StepGradient, ATrainingThatAccumulatesTakesTheStepsOfOneWithLargeBatches) {
  const Model model = TinyModel(TinyConfig(), 1);
  const auto examples = RandomExamples(TinyConfig(), 33, 2);
  TrainOptions large, parts;
  large.epochs = parts.epochs = 2;
  large.batch_size = 10;
  parts.batch_size = 2;
  parts.accumulate = 5;
  Adapter with_large = RandomAdapter(TinyConfig(), kLora, 3), with_parts = with_large;
  const auto one = TrainServerPhase(model, examples, 1, large, &with_large);
  const auto many = TrainServerPhase(model, examples, 1, parts, &with_parts);
  ASSERT_TRUE(one && many);
  EXPECT_EQ(one->steps, 8);
  EXPECT_EQ(one->tokens, many->tokens);
  ASSERT_EQ(one->losses.size(), many->losses.size());
  EXPECT_NEAR(one->losses[0], many->losses[0], 1e-5 * one->losses[0]);
  for (std::size_t i = 0; i < one->losses.size(); ++i) {
    EXPECT_NEAR(one->losses[i], many->losses[i], 1e-4 * one->losses[i]) << i;
  }
}

}  // namespace
}  // namespace dashf::train
