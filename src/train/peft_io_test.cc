#include "train/peft_io.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>

#include "base/file.h"
#include "tensorfile/floats.h"
#include "tensorfile/safetensors.h"
#include "train/memory_limit.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

using ::testing::HasSubstr;
using testing::kAllTargets;
using testing::RandomAdapter;
using testing::TinyConfig;

const LoraConfig kLora{.rank = 3, .alpha = 5.0, .targets = kAllTargets};

std::filesystem::path FreshFolder(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("peft_" + name);
  std::filesystem::remove_all(folder);
  return folder;
}

TEST(PeftIo, AdapterSurvivesTheFolderBitForBit) {
  const auto folder = FreshFolder("round_trip");
  const Adapter adapter = RandomAdapter(TinyConfig(), kLora, 1);
  ASSERT_TRUE(SaveAdapter(adapter, TinyConfig(), "some/base", folder));
  const auto loaded = LoadAdapter(folder, TinyConfig());
  ASSERT_TRUE(loaded) << loaded.error().Text();
  EXPECT_EQ(*loaded, adapter);
}

// A number with few significant bits and a magnitude in [2^-14, 2) or 0, as IEEE 754 binary16.
std::uint16_t ToFloat16(float value) {
  if (value == 0.0F) return 0;
  int exponent = 0;
  const float fraction = std::frexp(std::abs(value), &exponent);  // In [1/2, 1).
  const auto behind_point = static_cast<int>((2.0F * fraction - 1.0F) * 1024.0F);
  const int bits = (exponent + 14) * 1024 + behind_point;
  return static_cast<std::uint16_t>(value < 0.0F ? bits + 0x8000 : bits);
}

// The image of `adapter` with its numbers stored as half precision.
std::string HalfImage(const Adapter& adapter, tensorfile::DType dtype) {
  const std::string image = EncodeLayers(adapter, 1, static_cast<int>(adapter.layers.size()));
  const auto file = *tensorfile::SafetensorsFile::Parse("image", image);
  std::map<std::string, std::vector<std::uint16_t>> kept;  // The views' memory.
  tensorfile::TensorMap tensors = file.tensors();
  for (auto& [name, view] : tensors) {
    std::vector<std::uint16_t>& halves = kept[name];
    const std::vector<float> values = *tensorfile::ReadFloats(name, view, view.shape);
    for (const float value : values) {
      halves.push_back(dtype == tensorfile::DType::kF16 ? ToFloat16(value)
                                                        : tensorfile::ToBFloat16(value));
    }
    view = {dtype,
            view.shape,
            {reinterpret_cast<const char*>(halves.data()), halves.size() * sizeof(halves[0])}};
  }
  return tensorfile::WriteSafetensors(tensors);
}

// Eighths up to 15/8 have at most 4 significant bits, so both half precisions hold them exactly.
TEST(PeftIo, HalfPrecisionFactorsLoadAsTheirValues) {
  Adapter adapter = RandomAdapter(TinyConfig(), kLora, 1);
  Rng rng(2);
  for (auto& pairs : adapter.layers) {
    for (LoraPair& pair : pairs) {
      for (auto* factor : {&pair.a, &pair.b}) {
        for (float& x : *factor) x = (static_cast<float>(rng.Below(31)) - 15.0F) / 8.0F;
      }
    }
  }
  const auto folder = FreshFolder("half");
  ASSERT_TRUE(SaveAdapter(adapter, TinyConfig(), "base", folder));
  for (const auto dtype : {tensorfile::DType::kF16, tensorfile::DType::kBF16}) {
    const std::string image = HalfImage(adapter, dtype);
    ASSERT_TRUE(WriteFileAtomically(folder / "adapter_model.safetensors", image));
    const auto loaded = LoadAdapter(folder, TinyConfig());
    ASSERT_TRUE(loaded) << loaded.error().Text();
    EXPECT_EQ(*loaded, adapter);
    Adapter received = adapter;
    const auto sent = DecodeLayers(image, 1, 3, TinyConfig(), &received);
    ASSERT_FALSE(sent);
    EXPECT_THAT(sent.error().Text(), HasSubstr("must be F32, got"));
  }
}

// At the claimed rank one factor of this model is 64 MiB and the adapter 4 GiB.
TEST(PeftIo, AClaimedRankTakesNoMemoryThatTheTensorsDoNotHave) {
  const auto folder = FreshFolder("claimed_rank");
  const std::string config =
      R"({"peft_type": "LORA", "r": 4096, "lora_alpha": 16, "target_modules": ["q_proj"],
          "layers_to_transform": )";
  ModelConfig model = TinyConfig();
  model.layers = 32;
  model.hidden_size = 4096;
  model.heads = 32;
  model.head_dim = 128;
  const auto refusal = [&](const std::string& layers, const std::string& image) {
    EXPECT_TRUE(WriteFileAtomically(folder / "adapter_config.json", config + layers + "}"));
    EXPECT_TRUE(WriteFileAtomically(folder / "adapter_model.safetensors", image));
    const testing::MemoryLimit limit(32 << 20);
    const auto loaded = LoadAdapter(folder, model);
    return loaded ? std::string("accepted") : loaded.error().Text();
  };
  const Adapter small = RandomAdapter(TinyConfig(), {.rank = 2, .targets = {"q_proj"}}, 1);
  EXPECT_THAT(refusal("null", EncodeLayers(small, 1, 3)),
              HasSubstr("must have shape [4096, 4096], got [2, 12]"));
  // PEFT takes an empty list for all layers.
  EXPECT_THAT(refusal("[]", tensorfile::WriteSafetensors({})), HasSubstr("has no"));
}

// The names and shapes that PEFT's own loader looks for.
TEST(PeftIo, KeysAndShapesArePefts) {
  const auto folder = FreshFolder("keys");
  ASSERT_TRUE(SaveAdapter(RandomAdapter(TinyConfig(), kLora, 1), TinyConfig(), "base", folder));
  const auto file =
      tensorfile::SafetensorsFile::Open((folder / "adapter_model.safetensors").string());
  ASSERT_TRUE(file);
  EXPECT_EQ(file->tensors().size(), 3u * 7u * 2u);
  const std::string layer = "base_model.model.model.layers.2.";
  EXPECT_THAT(file->tensors().at(layer + "self_attn.k_proj.lora_A.weight").shape,
              ::testing::ElementsAre(3, 12));
  EXPECT_THAT(file->tensors().at(layer + "self_attn.k_proj.lora_B.weight").shape,
              ::testing::ElementsAre(12, 3));
  EXPECT_THAT(file->tensors().at(layer + "mlp.down_proj.lora_A.weight").shape,
              ::testing::ElementsAre(3, 20));
}

TEST(PeftIo, LayersTravelAndReplaceOnlyTheirOwn) {
  const Adapter sent = RandomAdapter(TinyConfig(), kLora, 1);
  Adapter received = RandomAdapter(TinyConfig(), kLora, 2);
  const Adapter before = received;
  const auto done = DecodeLayers(EncodeLayers(sent, 2, 3), 2, 3, TinyConfig(), &received);
  ASSERT_TRUE(done) << done.error().Text();
  EXPECT_EQ(received.layers[0], before.layers[0]);
  EXPECT_EQ(received.layers[1], sent.layers[1]);
  EXPECT_EQ(received.layers[2], sent.layers[2]);
}

// What a hostile or broken peer may send: each is refused by name and leaves the adapter as it was.
TEST(PeftIo, UnsoundLayersAreRefusedWhole) {
  Adapter adapter = RandomAdapter(TinyConfig(), kLora, 2);
  const Adapter before = adapter;
  const auto refusal = [&](const std::string& bytes) {
    const auto done = DecodeLayers(bytes, 2, 3, TinyConfig(), &adapter);
    EXPECT_EQ(adapter, before);
    return done ? std::string("accepted") : done.error().Text();
  };
  const Adapter sound = RandomAdapter(TinyConfig(), kLora, 1);
  EXPECT_THAT(refusal(EncodeLayers(sound, 1, 2)), HasSubstr("has no"));
  EXPECT_THAT(refusal(EncodeLayers(sound, 1, 3)), HasSubstr("is not one of"));
  Adapter infinite = sound;
  infinite.layers[2][6].b[4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(EncodeLayers(infinite, 2, 3)), HasSubstr("not finite"));
  Adapter exploded = sound;
  for (float& value : exploded.layers[1][0].a) value *= 1e6F;
  EXPECT_THAT(refusal(EncodeLayers(exploded, 2, 3)), HasSubstr("layer 2 q_proj: norm"));
  const Adapter other_rank = RandomAdapter(TinyConfig(), {.rank = 2, .targets = kAllTargets}, 1);
  EXPECT_THAT(refusal(EncodeLayers(other_rank, 2, 3)),
              HasSubstr("must have shape [3, 12], got [2, 12]"));
  EXPECT_NE(refusal("{}"), "accepted");
}

TEST(PeftIo, PartialAdaptersLeaveTheOtherLayersInactive) {
  const auto folder = FreshFolder("partial");
  const Adapter adapter = RandomAdapter(TinyConfig(), {.rank = 2}, 1);
  ASSERT_TRUE(
      WriteFileAtomically(folder / "adapter_model.safetensors", EncodeLayers(adapter, 2, 2)));
  ASSERT_TRUE(WriteFileAtomically(
      folder / "adapter_config.json",
      R"({"peft_type": "LORA", "r": 2, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"],
          "layers_to_transform": [1]})"));
  const auto loaded = LoadAdapter(folder, TinyConfig());
  ASSERT_TRUE(loaded) << loaded.error().Text();
  EXPECT_EQ(loaded->layers[1], adapter.layers[1]);
  EXPECT_THAT(loaded->layers[0][0].a, ::testing::Each(0.0F));
  EXPECT_THAT(loaded->layers[2][1].b, ::testing::Each(0.0F));
}

// PEFT matches names from their end, the first key that fits a module counting.
TEST(PeftIo, PatternsGiveModulesRanksAndScalesOfTheirOwn) {
  LoraConfig lora{.rank = 4, .alpha = 8.0, .targets = kAllTargets};
  lora.rank_pattern = {{"model.layers.1.self_attn.q_proj", 2}, {"q_proj", 3}};
  lora.alpha_pattern = {{"^layers.0.mlp.up_proj", 7.0}, {"1.mlp.up_proj", 12.0}, {"roj", 5.0}};
  EXPECT_EQ(lora.Rank(0, "q_proj"), 3);
  EXPECT_EQ(lora.Rank(1, "q_proj"), 2);
  EXPECT_EQ(lora.Rank(1, "k_proj"), 4);
  EXPECT_EQ(lora.Scale(0, "up_proj"), 2.0);  // Neither whole names nor parts of one fit.
  EXPECT_EQ(lora.Scale(1, "up_proj"), 3.0);
  EXPECT_EQ(lora.Scale(11, "up_proj"), 2.0);  // "1" is not the whole of "11".
  lora.rank_stabilized = true;
  EXPECT_EQ(lora.Scale(0, "k_proj"), 4.0);
  const Adapter adapter = RandomAdapter(TinyConfig(), lora, 1);
  const auto folder = FreshFolder("patterns");
  ASSERT_TRUE(SaveAdapter(adapter, TinyConfig(), "base", folder));
  const auto loaded = LoadAdapter(folder, TinyConfig());
  ASSERT_TRUE(loaded) << loaded.error().Text();
  EXPECT_EQ(*loaded, adapter);
  lora.rank_pattern = {{R"(.*\.q_proj)", 3}};
  const auto refused = InitialAdapter(TinyConfig(), {.lora = lora}, 1);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().Text(), HasSubstr("without regular expressions"));
}

TEST(PeftIo, PromptsTravelAndSurviveTheFolderBitForBit) {
  const AdapterConfig config{.kind = AdapterKind::kAdaptionPrompt, .prompt = {.length = 4}};
  const Adapter sent = RandomAdapter(TinyConfig(), config, 1);
  const auto folder = FreshFolder("prompts");
  ASSERT_TRUE(SaveAdapter(sent, TinyConfig(), "base", folder));
  const auto loaded = LoadAdapter(folder, TinyConfig());
  ASSERT_TRUE(loaded) << loaded.error().Text();
  EXPECT_EQ(*loaded, sent);
  Adapter received = RandomAdapter(TinyConfig(), config, 2);
  const Adapter before = received;
  const auto done = DecodeLayers(EncodeLayers(sent, 2, 3), 2, 3, TinyConfig(), &received);
  ASSERT_TRUE(done) << done.error().Text();
  EXPECT_EQ(received.prompts[0], before.prompts[0]);
  EXPECT_EQ(received.prompts[1], sent.prompts[1]);
  EXPECT_EQ(received.prompts[2], sent.prompts[2]);
  const Adapter lora = RandomAdapter(TinyConfig(), kLora, 1);
  EXPECT_FALSE(DecodeLayers(EncodeLayers(lora, 2, 3), 2, 3, TinyConfig(), &received));
  Adapter exploded = sent;
  exploded.prompts[1].gate = 1e6F;
  EXPECT_FALSE(DecodeLayers(EncodeLayers(exploded, 2, 3), 2, 3, TinyConfig(), &received));
  // Found by who has trained it, of the layers that it sends.
  EXPECT_TRUE(CheckForPeers(exploded, 3, 3, TinyConfig()));
  EXPECT_TRUE(CheckForPeers(exploded, 1, 0, TinyConfig()));
  const auto diverged = CheckForPeers(exploded, 1, 2, TinyConfig());
  ASSERT_FALSE(diverged);
  EXPECT_EQ(diverged.error().kind, ErrorKind::kNumerical);
  EXPECT_THAT(diverged.error().Text(),
              HasSubstr("adapter layers 1 to 2: diverged: layer 2 prompt"));
}

// PEFT adds o_proj's bias a second time with a prompt.
TEST(PeftIo, PromptsAreRefusedWhereAttentionEndsInABias) {
  ModelConfig model = TinyConfig();
  model.attention_bias = AttentionBias::kAll;
  const auto refused = InitialAdapter(model, {.kind = AdapterKind::kAdaptionPrompt}, 1);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().Text(), HasSubstr("a bias in o_proj"));
}

}  // namespace
}  // namespace dashf::train
