#include "train/merge.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/adapter_tensors.h"
#include "train/generate.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

using testing::kAllTargets;
using testing::RandomAdapter;
using testing::TinyConfig;
using testing::TinyModel;

at::Tensor Logits(const Model& model, const AdapterTensors* adapter) {
  const at::NoGradGuard no_grad;
  const LlamaWeights& weights = model.weights();
  const at::Tensor tokens = at::arange(20, at::kLong).remainder(weights.config.vocab_size);
  const at::Tensor hidden =
      ForwardLayers(weights, adapter, Embed(weights, tokens), {2, 10}, 0, weights.config.layers);
  return at::mm(RmsNorm(hidden, weights.final_norm, weights.config.rms_norm_eps), weights.head.t());
}

double Difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

// All projections, ranks and scales of their own, with and without a tied head.
TEST(Merge, HasTheLogitsOfBaseAndAdapter) {
  for (const bool tied : {false, true}) {
    ModelConfig config = TinyConfig();
    config.tied_embeddings = tied;
    const Model base = TinyModel(config, 5, at::kFloat);
    LoraConfig lora{.rank = 3, .alpha = 7.0, .targets = kAllTargets};
    lora.rank_pattern = {{"layers.1.self_attn.q_proj", 5}};
    lora.alpha_pattern = {{"down_proj", 2.0}};
    const Adapter adapter = RandomAdapter(config, {.lora = lora}, 6);
    const AdapterTensors tensors = ToTensors(adapter, config, at::kFloat);
    const auto merged = MergeAdapter(base, adapter);
    ASSERT_TRUE(merged);
    const at::Tensor expected = Logits(base, &tensors);
    EXPECT_LT(Difference(Logits(*merged, nullptr), expected), 1e-5);
    EXPECT_GT(Difference(Logits(base, nullptr), expected), 1e-2);
  }
}

TEST(Merge, LeavesTheBaseAsItIs) {
  const Model base = TinyModel(TinyConfig(), 5, at::kFloat);
  const at::Tensor before = Logits(base, nullptr);
  ASSERT_TRUE(MergeAdapter(base, RandomAdapter(TinyConfig(), {.lora = {.rank = 2}}, 6)));
  EXPECT_TRUE(Logits(base, nullptr).equal(before));
}

TEST(Merge, RefusesPromptsAndSaysWhy) {
  const Model base = TinyModel(TinyConfig(), 5, at::kFloat);
  const auto merged =
      MergeAdapter(base, RandomAdapter(TinyConfig(), {.kind = AdapterKind::kAdaptionPrompt}, 6));
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(merged.error().Text(), ::testing::HasSubstr("softmax of their own"));
}

TEST(Merge, RefusesAnAdapterOfAnotherModel) {
  ModelConfig wider = TinyConfig();
  wider.hidden_size = 16;
  EXPECT_FALSE(MergeAdapter(TinyModel(TinyConfig(), 5, at::kFloat),
                            RandomAdapter(wider, {.lora = {.rank = 2}}, 6)));
}

}  // namespace
}  // namespace dashf::train
