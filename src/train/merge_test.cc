#include "train/merge.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "llama/decoder.h"
#include "train/adapter_layout.h"
#include "train/generate.h"
#include "train/testing.h"
#include "train/trained_parameters.h"

namespace dashf::train {
namespace {

using testing::kAllTargets;
using testing::RandomAdapter;
using testing::TinyConfig;
using testing::TinyModel;

std::vector<float> Logits(const Model& model, const Adapter* adapter) {
  const llama::AdapterLayout layout = LayoutOf(adapter, model.config());
  const std::vector<float> parameters = AllParameters(adapter);
  const std::vector<int> tokens = {0, 4, 9, 16, 25, 3, 14, 27, 8, 21};
  llama::Decoder decoder(model.weights(), layout, parameters, std::ssize(tokens));
  decoder.Read(tokens);
  std::vector<float> logits;
  for (std::int64_t t = 0; t < std::ssize(tokens); ++t) {
    const std::vector<float> next = decoder.Logits(t);
    logits.insert(logits.end(), next.begin(), next.end());
  }
  return logits;
}

double Difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max<double>(difference, std::abs(a[i] - b[i]));
    largest = std::max<double>(largest, std::abs(b[i]));
  }
  return difference / largest;
}

// All projections, ranks and scales of their own, with and without a tied head.
TEST(Merge, HasTheLogitsOfBaseAndAdapter) {
  for (const bool tied : {false, true}) {
    ModelConfig config = TinyConfig();
    config.tied_embeddings = tied;
    const Model base = TinyModel(config, 5);
    LoraConfig lora{.rank = 3, .alpha = 7.0, .targets = kAllTargets};
    lora.rank_pattern = {{"layers.1.self_attn.q_proj", 5}};
    lora.alpha_pattern = {{"down_proj", 2.0}};
    const Adapter adapter = RandomAdapter(config, {.lora = lora}, 6);
    const auto merged = MergeAdapter(base, adapter);
    ASSERT_TRUE(merged);
    const std::vector<float> expected = Logits(base, &adapter);
    EXPECT_LT(Difference(Logits(*merged, nullptr), expected), 1e-5);
    EXPECT_GT(Difference(Logits(base, nullptr), expected), 1e-2);
  }
}

TEST(Merge, LeavesTheBaseAsItIs) {
  const Model base = TinyModel(TinyConfig(), 5);
  const std::vector<float> before = Logits(base, nullptr);
  ASSERT_TRUE(MergeAdapter(base, RandomAdapter(TinyConfig(), {.lora = {.rank = 2}}, 6)));
  EXPECT_EQ(Logits(base, nullptr), before);
}

TEST(Merge, RefusesPromptsAndSaysWhy) {
  const Model base = TinyModel(TinyConfig(), 5);
  const auto merged =
      MergeAdapter(base, RandomAdapter(TinyConfig(), {.kind = AdapterKind::kAdaptionPrompt}, 6));
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().kind, ErrorKind::kBadInput);
  EXPECT_THAT(merged.error().Text(), ::testing::HasSubstr("softmax of their own"));
}

TEST(Merge, RefusesAnAdapterOfAnotherModel) {
  ModelConfig wider = TinyConfig();
  wider.hidden_size = 16;
  EXPECT_FALSE(
      MergeAdapter(TinyModel(TinyConfig(), 5), RandomAdapter(wider, {.lora = {.rank = 2}}, 6)));
}

}  // namespace
}  // namespace dashf::train
