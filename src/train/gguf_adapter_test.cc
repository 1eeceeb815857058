#include "train/gguf_adapter.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/file.h"
#include "gguf/file.h"
#include "train/model_config.h"
#include "train/peft_io.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

using ::testing::HasSubstr;
using testing::kAllTargets;
using testing::RandomAdapter;
using testing::TinyConfig;

const LoraConfig kLora{.rank = 3, .alpha = 5.0, .targets = kAllTargets};

TEST(GgufAdapter, SurvivesLlamaCppsFileBitForBit) {
  const Adapter adapter = RandomAdapter(TinyConfig(), kLora, 1);
  const auto bytes = EncodeGgufAdapter(adapter, TinyConfig());
  ASSERT_TRUE(bytes) << bytes.error().Text();
  const auto read = ParseGgufAdapter("f", *bytes, TinyConfig());
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(*read, adapter);
}

// Head width 6: Hugging Face's rows 0, 1, 2 of a head are llama.cpp's 0, 2, 4, and 3, 4, 5 its 1,
// 3, 5.
TEST(GgufAdapter, OfLlamaInterleavesTheRowsOfQueriesAndKeysAlone) {
  const Adapter adapter = RandomAdapter(TinyConfig(), kLora, 1);
  const auto file = gguf::File::Parse("f", *EncodeGgufAdapter(adapter, TinyConfig()));
  ASSERT_TRUE(file);
  EXPECT_EQ(std::get<std::string>(file->metadata().at("general.architecture")), "llama");
  const auto row = [&](const char* name, int index) {
    std::vector<float> values(3);
    const std::string_view bytes = file->tensors().at(name).bytes;
    gguf::Decode(
        gguf::TensorType::kF32, bytes.substr(static_cast<std::size_t>(index) * 12, 12), values);
    return values;
  };
  const auto ours = [&](std::size_t target, int index) {
    const auto begin = adapter.layers[1][target].b.begin() + 3 * index;
    return std::vector<float>(begin, begin + 3);
  };
  constexpr int kStoredAt[] = {0, 2, 4, 1, 3, 5};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(row("blk.1.attn_q.weight.lora_b", 18 + kStoredAt[i]), ours(0, 18 + i));
    EXPECT_EQ(row("blk.1.attn_k.weight.lora_b", 6 + kStoredAt[i]), ours(1, 6 + i));
    EXPECT_EQ(row("blk.1.attn_v.weight.lora_b", i), ours(2, i));
  }
}

TEST(GgufAdapter, OfQwen2IsNotPermuted) {
  ModelConfig config = *ParseModelConfig("c", R"({"model_type": "qwen2", "hidden_size": 12,
      "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
      "intermediate_size": 20, "vocab_size": 31})");
  const Adapter adapter = RandomAdapter(config, kLora, 1);
  const auto file = gguf::File::Parse("f", *EncodeGgufAdapter(adapter, config));
  ASSERT_TRUE(file);
  EXPECT_EQ(std::get<std::string>(file->metadata().at("general.architecture")), "qwen2");
  std::vector<float> stored(adapter.layers[0][0].b.size());
  gguf::Decode(
      gguf::TensorType::kF32, file->tensors().at("blk.0.attn_q.weight.lora_b").bytes, stored);
  EXPECT_EQ(stored, adapter.layers[0][0].b);
  EXPECT_FALSE(ParseGgufAdapter("f", *EncodeGgufAdapter(adapter, config), TinyConfig()));
}

// What one alpha cannot say is in lora_b: alpha / rank * B A is the same.
TEST(GgufAdapter, FoldsScalesOfTheirOwnIntoB) {
  LoraConfig lora = kLora;
  lora.rank_stabilized = true;
  lora.rank_pattern = {{"layers.1.self_attn.q_proj", 2}};
  lora.alpha_pattern = {{"v_proj", 11.0}};
  const Adapter adapter = RandomAdapter(TinyConfig(), lora, 1);
  const auto read = ParseGgufAdapter("f", *EncodeGgufAdapter(adapter, TinyConfig()), TinyConfig());
  ASSERT_TRUE(read) << read.error().Text();
  for (int layer = 0; layer < 3; ++layer) {
    for (std::size_t j = 0; j < kAllTargets.size(); ++j) {
      const auto at = static_cast<std::size_t>(layer);
      const std::string& target = kAllTargets[j];
      const LoraPair &before = adapter.layers[at][j], &after = read->layers[at][j];
      EXPECT_EQ(read->config.lora.Rank(layer, target), lora.Rank(layer, target));
      EXPECT_EQ(after.a, before.a);
      ASSERT_EQ(after.b.size(), before.b.size());
      for (std::size_t i = 0; i < after.b.size(); ++i) {
        const double expected = before.b[i] * lora.Scale(layer, target);
        EXPECT_NEAR(after.b[i] * read->config.lora.Scale(layer, target),
                    expected,
                    1e-6 * std::abs(expected));
      }
    }
  }
}

TEST(GgufAdapter, IsReadInThePlaceOfAFolder) {
  const std::string path = ::testing::TempDir() + "adapter.gguf";
  const Adapter adapter = RandomAdapter(TinyConfig(), kLora, 2);
  ASSERT_TRUE(WriteFileAtomically(path, *EncodeGgufAdapter(adapter, TinyConfig())));
  const auto read = LoadAdapter(path, TinyConfig());
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(*read, adapter);
}

TEST(GgufAdapter, WithoutItsCounterpartOrWithAForeignTensorIsRefused) {
  const std::string bytes = *EncodeGgufAdapter(RandomAdapter(TinyConfig(), kLora, 1), TinyConfig());
  const auto file = *gguf::File::Parse("f", bytes);
  gguf::TensorMap tensors = file.tensors();
  tensors.erase("blk.0.attn_q.weight.lora_b");
  auto read = ParseGgufAdapter("f", gguf::Write(file.metadata(), tensors), TinyConfig());
  EXPECT_THAT(read.error().Text(),
              HasSubstr("blk.0.attn_q.weight.lora_b: there is no such tensor"));
  tensors = file.tensors();
  tensors["output.weight.lora_a"] = tensors.at("blk.0.attn_q.weight.lora_a");
  read = ParseGgufAdapter("f", gguf::Write(file.metadata(), tensors), TinyConfig());
  EXPECT_THAT(read.error().Text(), HasSubstr("output.weight.lora_a: is no LoRA factor"));
  gguf::Metadata metadata = file.metadata();
  metadata["adapter.type"] = std::string("control_vector");
  read = ParseGgufAdapter("f", gguf::Write(metadata, file.tensors()), TinyConfig());
  EXPECT_THAT(read.error().Text(), HasSubstr("adapter.type: must be \"lora\", got"));
}

}  // namespace
}  // namespace dashf::train
