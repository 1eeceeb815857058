#include "train/gguf_model.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "base/file.h"
#include "gguf/tensor_names.h"
#include "train/model_config.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

using ::testing::HasSubstr;
using testing::TinyConfig;
using testing::TinyModel;

// A model's file as llama.cpp's converter writes it, with F32 weights.
struct GgufModel {
  gguf::Metadata metadata;
  std::map<std::string, std::vector<float>> kept;  // The views' memory.
  gguf::TensorMap tensors;

  void Add(const std::string& name, std::vector<float> values, std::vector<std::int64_t> shape) {
    std::vector<float>& held = kept[name] = std::move(values);
    tensors[name] = {gguf::TensorType::kF32,
                     std::move(shape),
                     {reinterpret_cast<const char*>(held.data()), held.size() * sizeof(float)}};
  }
  std::string Save() const {
    const std::string path = ::testing::TempDir() + "model.gguf";
    EXPECT_TRUE(WriteFileAtomically(path, gguf::Write(metadata, tensors)));
    return path;
  }
};

GgufModel FileOf(const Model& model) {
  const ModelConfig& config = model.config();
  const gguf::Architecture llama = *gguf::FindArchitecture("llama");
  GgufModel file;
  const auto number = [](int value) { return gguf::Value(std::int64_t{value}); };
  file.metadata = {{"general.architecture", std::string("llama")},
                   {"llama.block_count", number(config.layers)},
                   {"llama.context_length", number(config.max_positions)},
                   {"llama.embedding_length", number(config.hidden_size)},
                   {"llama.feed_forward_length", number(config.intermediate_size)},
                   {"llama.attention.head_count", number(config.heads)},
                   {"llama.attention.head_count_kv", number(config.kv_heads)},
                   {"llama.attention.key_length", number(config.head_dim)},
                   {"llama.attention.value_length", number(config.head_dim)},
                   {"llama.attention.layer_norm_rms_epsilon", double{1e-5F}},
                   {"llama.rope.freq_base", 10000.0},
                   {"tokenizer.ggml.bos_token_id", number(1)},
                   {"tokenizer.ggml.eos_token_id", number(2)}};
  llama::ForEachTensor(config, [&](const std::string& name, const auto& shape) {
    std::vector<float> values = llama::GetTensor(name, model.weights());
    if (gguf::IsRotated(
            name)) {  // Llama's rows as the file has them: of each head 0, 3, 1, 4, 2, 5.
      const std::vector<float> ours = values;
      const std::int64_t columns = shape[1], half = config.head_dim / 2;
      for (std::int64_t i = 0; i < shape[0]; ++i) {
        const std::int64_t head = i / config.head_dim * config.head_dim, at = i - head;
        const std::int64_t from = head + at / 2 + (at % 2 == 0 ? 0 : half);
        std::copy_n(ours.begin() + from * columns, columns, values.begin() + i * columns);
      }
    }
    file.Add(gguf::TensorName(name, llama), std::move(values), shape);
  });
  return file;
}

void ExpectSame(const Model& a, const Model& b) {
  llama::ForEachTensor(a.config(), [&](const std::string& name, const auto&) {
    EXPECT_EQ(llama::GetTensor(name, a.weights()), llama::GetTensor(name, b.weights())) << name;
  });
}

TEST(GgufModelFile, IsTheModelThatItWasMadeOf) {
  const Model model = TinyModel(TinyConfig(), 1);
  const auto read = LoadModel(FileOf(model).Save());
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(read->config(), model.config());
  ExpectSame(*read, model);
}

TEST(GgufModelFile, WithoutAnOutputMatrixHasATiedHead) {
  ModelConfig config = TinyConfig();
  config.tied_embeddings = true;
  const Model model = TinyModel(config, 1);
  const auto read = LoadModel(FileOf(model).Save());
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_TRUE(read->config().tied_embeddings);
  ExpectSame(*read, model);
}

// The divisors by which llama.cpp's converter says Llama 3's stretching.
TEST(GgufModelFile, SaysLlama3sStretchingByItsDivisors) {
  ModelConfig config = TinyConfig();
  config.rope_llama3 = Llama3Rope{.factor = 32.0};
  GgufModel file = FileOf(TinyModel(config, 1));
  // Of base 1e6 and three pairs the wavelengths are 6, 628 and 62,832 positions.
  file.metadata["llama.rope.freq_base"] = 1e6;
  file.Add("rope_freqs.weight", {1.0F, 1.0F, 32.0F}, {3});
  auto read = LoadModelConfig(file.Save());
  ASSERT_TRUE(read) << read.error().Text();
  EXPECT_EQ(read->rope_llama3, config.rope_llama3);
  file.Add("rope_freqs.weight", {1.0F, 2.0F, 32.0F}, {3});
  read = LoadModelConfig(file.Save());
  EXPECT_THAT(read.error().Text(), HasSubstr("rope_freqs.weight: only Llama 3's stretching"));
}

TEST(GgufModelFile, ThatSaysMoreThanIsKnownIsRefusedByName) {
  const GgufModel sound = FileOf(TinyModel(TinyConfig(), 1));
  const auto refusal = [](const GgufModel& file) {
    const auto read = LoadModel(file.Save());
    return read ? std::string("accepted") : read.error().Text();
  };
  const auto with = [&](const char* key, gguf::Value value) {
    GgufModel file = sound;
    file.metadata[key] = std::move(value);
    return refusal(file);
  };
  EXPECT_THAT(with("general.architecture", std::string("mamba")),
              HasSubstr("general.architecture: \"mamba\" is not read (only llama, "));
  EXPECT_THAT(with("general.type", std::string("adapter")), HasSubstr("must be \"model\""));
  EXPECT_THAT(with("llama.logit_scale", 2.0), HasSubstr("llama.logit_scale: is not known"));
  EXPECT_THAT(with("llama.expert_count", std::int64_t{8}), HasSubstr("mixtures of experts"));
  EXPECT_THAT(with("llama.rope.dimension_count", std::int64_t{4}),
              HasSubstr("only the heads' width"));
  EXPECT_THAT(with("llama.rope.scaling.type", std::string("yarn")), HasSubstr("got \"yarn\""));
  EXPECT_THAT(with("llama.block_count", std::int64_t{4}),
              HasSubstr("has no blk.3.attn_norm.weight"));
  EXPECT_THAT(with("llama.block_count", std::int64_t{2}), HasSubstr("is no tensor of the model"));
  EXPECT_THAT(with("llama.feed_forward_length", std::int64_t{21}),
              HasSubstr("must have shape [21, 12]"));
  GgufModel file = sound;
  std::vector<float> values = file.kept["blk.0.attn_norm.weight"];
  values[3] = INFINITY;
  file.Add("blk.0.attn_norm.weight", values, {12});
  EXPECT_THAT(refusal(file), HasSubstr("blk.0.attn_norm.weight: has a value that is not finite"));
}

}  // namespace
}  // namespace dashf::train
