#include "llama/weights.h"

#include <gmock/gmock.h>

#include "llama/testing.h"

namespace dashf::llama {
namespace {

TEST(Weights, TakeTheMemoryThatTheirConfigurationForetells) {
  for (const Format format : {Format::kFloat32, Format::kBFloat16, Format::kInt8, Format::kNf4}) {
    for (const bool tied : {false, true}) {
      for (const auto bias : {AttentionBias::kNone, AttentionBias::kQkv, AttentionBias::kAll}) {
        ModelConfig config = testing::TinyConfig();
        config.hidden_size = 65;  // Two blocks of NF4, half a byte left over.
        config.tied_embeddings = tied;
        config.attention_bias = bias;
        config.mlp_bias = tied;
        const Storage storage = StorageOf(format);
        EXPECT_EQ(WeightBytes(config, storage), MakeWeights(config, storage).Bytes());
      }
    }
  }
}

TEST(Weights, OfLlamasRelativesTakeTheMemoryThatTheirConfigurationForetells) {
  for (const ModelConfig& config : testing::RelativesOfLlama()) {
    EXPECT_EQ(WeightBytes(config, {}), MakeWeights(config, {}).Bytes());
  }
}

}  // namespace
}  // namespace dashf::llama
