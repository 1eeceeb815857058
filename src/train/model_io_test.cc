#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "llama/testing.h"
#include "tensorfile/safetensors.h"
#include "train/generate.h"
#include "train/memory_limit.h"
#include "train/model_config.h"
#include "train/testing.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using tensorfile::SafetensorsFile;
using tensorfile::TensorMap;
using ::testing::HasSubstr;
using testing::TinyConfig;
using testing::TinyModel;

fs::path FreshFolder(const std::string& name) {
  const fs::path folder = fs::path(::testing::TempDir()) / ("model_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

std::string LoadError(const fs::path& folder) {
  const auto model = LoadModel(folder);
  return model ? "accepted" : model.error().Text();
}

// Saves a tiny model, lets `change` edit its tensors, and writes them back.
template <class Change>
fs::path EditedModel(const std::string& name, Change change) {
  const fs::path folder = FreshFolder(name);
  EXPECT_TRUE(SaveModel(TinyModel(TinyConfig(), 1), Precision::kFloat32, folder));
  const std::string path = (folder / "model.safetensors").string();
  const SafetensorsFile file = *SafetensorsFile::Open(path);
  TensorMap tensors = file.tensors();
  change(&tensors);
  const std::string bytes = tensorfile::WriteSafetensors(tensors);
  EXPECT_TRUE(WriteFileAtomically(path, bytes));
  return folder;
}

void ExpectToSurvive(const ModelConfig& config) {
  const Model model = TinyModel(config, 3);
  const fs::path folder = FreshFolder("round_trip");
  ASSERT_TRUE(SaveModel(model, Precision::kFloat32, folder));
  const auto loaded = LoadModel(folder);
  ASSERT_TRUE(loaded) << loaded.error().Text();
  EXPECT_EQ(loaded->config(), config);
  llama::ForEachTensor(config, [&](const std::string& name, const auto&) {
    EXPECT_EQ(llama::GetTensor(name, loaded->weights()), llama::GetTensor(name, model.weights()))
        << name;
  });
}

TEST(ModelIo, Float32ModelsSurviveTheFolderBitForBit) {
  for (const bool tied : {false, true}) {
    ModelConfig config = TinyConfig();
    config.family = tied ? llama::Family::kQwen2 : llama::Family::kLlama;
    config.tied_embeddings = tied;
    config.attention_bias = tied ? AttentionBias::kQkv : AttentionBias::kAll;
    config.mlp_bias = !tied;
    config.rope_llama3 = Llama3Rope{.factor = 4.0};
    config.eos_tokens = {2, 5};
    ExpectToSurvive(config);
  }
  for (const ModelConfig& config : llama::testing::RelativesOfLlama()) ExpectToSurvive(config);
}

// bfloat16 has 7 bits behind the point: half a unit in the last place is at most 2^-8 of the value.
// Tables of more numbers than are read at a time, the last part shorter.
TEST(ModelIo, LargeTensorsSurviveInParts) {
  ModelConfig config = TinyConfig();
  config.vocab_size = 200'003;
  const Model model = RandomModel(config, 1);
  const fs::path folder = FreshFolder("large_tables");
  ASSERT_TRUE(SaveModel(model, Precision::kFloat32, folder));
  const auto loaded = LoadModel(folder);
  ASSERT_TRUE(loaded) << loaded.error().Text();
  const std::string table = "model.embed_tokens.weight";
  EXPECT_EQ(llama::GetTensor(table, loaded->weights()), llama::GetTensor(table, model.weights()));
  fs::remove_all(folder);
}

TEST(ModelIo, BFloat16ModelsLoadWithinRounding) {
  const Model model = TinyModel(TinyConfig(), 3);
  const fs::path folder = FreshFolder("bfloat16");
  ASSERT_TRUE(SaveModel(model, Precision::kBFloat16, folder));
  const auto loaded = LoadModel(folder);
  ASSERT_TRUE(loaded) << loaded.error().Text();
  const std::string name = "model.embed_tokens.weight";
  const std::vector<float> exact = llama::GetTensor(name, model.weights());
  const std::vector<float> read = llama::GetTensor(name, loaded->weights());
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_LE(std::abs(read[i] - exact[i]), std::abs(exact[i]) / 256.0F);
  }
}

// The same network under Meta's names, with its interleaved rotary pairs: row 2i of a head is row i
// of the rotate-half layout, row 2i + 1 is row i + head_dim / 2.
TEST(ModelIo, OriginalLayoutGivesTheSameText) {
  const Model model = TinyModel(TinyConfig(), 5);
  const fs::path folder = FreshFolder("original");
  ASSERT_TRUE(SaveModel(model, Precision::kFloat32, folder));
  const SafetensorsFile file = *SafetensorsFile::Open((folder / "model.safetensors").string());
  TensorMap original;
  std::vector<std::string> kept(file.tensors().size());
  std::size_t next = 0;
  const auto renamed = [](std::string name) {
    const std::pair<const char*, const char*> names[] = {{"model.embed_tokens", "tok_embeddings"},
                                                         {"lm_head", "output"},
                                                         {"model.norm", "norm"},
                                                         {"model.layers", "layers"},
                                                         {"self_attn.q_proj", "attention.wq"},
                                                         {"self_attn.k_proj", "attention.wk"},
                                                         {"self_attn.v_proj", "attention.wv"},
                                                         {"self_attn.o_proj", "attention.wo"},
                                                         {"mlp.gate_proj", "feed_forward.w1"},
                                                         {"mlp.down_proj", "feed_forward.w2"},
                                                         {"mlp.up_proj", "feed_forward.w3"},
                                                         {"post_attention_layernorm", "ffn_norm"},
                                                         {"input_layernorm", "attention_norm"}};
    for (const auto& [from, to] : names) {
      if (const auto at = name.find(from); at != std::string::npos) {
        name.replace(at, std::strlen(from), to);
      }
    }
    return name;
  };
  const std::size_t row_bytes = 12 * sizeof(float), half = 3;
  for (const auto& [name, view] : file.tensors()) {
    std::string& bytes = kept[next++] = std::string(view.bytes);
    if (name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos) {
      for (std::size_t row = 0; row < bytes.size() / row_bytes; ++row) {
        const std::size_t head = row / 6, i = row % 6;
        const std::size_t from = head * 6 + (i % 2 == 0 ? i / 2 : half + i / 2);
        std::memcpy(&bytes[row * row_bytes], &view.bytes[from * row_bytes], row_bytes);
      }
    }
    original[renamed(name)] = {view.dtype, view.shape, bytes};
  }
  const std::string bytes = tensorfile::WriteSafetensors(original);
  ASSERT_TRUE(WriteFileAtomically(folder / "model.safetensors", bytes));
  const auto loaded = LoadModel(folder);
  ASSERT_TRUE(loaded) << loaded.error().Text();
  EXPECT_EQ(*GenerateGreedy(*loaded, nullptr, {1, 4, 9}, 20),
            *GenerateGreedy(model, nullptr, {1, 4, 9}, 20));
}

// What config.json says of a tied head counts only as long as the files agree.
TEST(ModelIo, AHeadThatDiffersFromATiedEmbeddingIsAHeadOfItsOwn) {
  const Model untied = TinyModel(TinyConfig(), 1);
  ModelConfig config = TinyConfig();
  config.tied_embeddings = true;
  const auto says_tied = [&](const std::string& name, auto change) {
    const fs::path folder = EditedModel(name, change);
    const std::string json = WriteModelConfig(config, Precision::kFloat32);
    EXPECT_TRUE(WriteFileAtomically(folder / "config.json", json));
    return folder;
  };
  const fs::path folder = says_tied("own_head", [](TensorMap*) {});
  const auto loaded = LoadModel(folder);
  ASSERT_TRUE(loaded) << loaded.error().Text();
  EXPECT_EQ(loaded->config(), untied.config());
  EXPECT_EQ(llama::GetTensor("lm_head.weight", loaded->weights()),
            llama::GetTensor("lm_head.weight", untied.weights()));
  EXPECT_EQ(*LoadModelConfig(folder), untied.config());
  EXPECT_EQ(*StoredInBFloat16(folder, config), false);
  const fs::path copied = says_tied("copied_head", [](TensorMap* tensors) {
    (*tensors)["lm_head.weight"] = tensors->at("model.embed_tokens.weight");
  });
  const auto tied = LoadModel(copied);
  ASSERT_TRUE(tied) << tied.error().Text();
  EXPECT_EQ(tied->config(), config);
  EXPECT_EQ(*LoadModelConfig(copied), config);
}

// The embedding in float32 is of bfloat16's numbers here, so that the two formats hold the same.
TEST(ModelIo, ACopiedHeadIsKnownInAnotherFormatToo) {
  std::string wide(31 * 12 * sizeof(float), '\0'), narrow(31 * 12 * sizeof(std::uint16_t), '\0');
  for (std::size_t i = 0; i < 31 * 12; ++i) {
    const auto half = static_cast<std::uint16_t>(0x3f80 + i % 100);
    const auto word = static_cast<std::uint32_t>(half) << 16;
    std::memcpy(&wide[i * sizeof(word)], &word, sizeof(word));
    std::memcpy(&narrow[i * sizeof(half)], &half, sizeof(half));
  }
  ModelConfig config = TinyConfig();
  config.tied_embeddings = true;
  for (const bool same : {true, false}) {
    if (!same) narrow[0] ^= 1;
    const fs::path folder = EditedModel("head_in_halves", [&](TensorMap* tensors) {
      (*tensors)["model.embed_tokens.weight"].bytes = wide;
      (*tensors)["lm_head.weight"] = {tensorfile::DType::kBF16, {31, 12}, narrow};
    });
    const std::string json = WriteModelConfig(config, Precision::kFloat32);
    ASSERT_TRUE(WriteFileAtomically(folder / "config.json", json));
    EXPECT_EQ(LoadModelConfig(folder)->tied_embeddings, same);
  }
}

TEST(ModelIo, ShardsAreFoundThroughTheIndex) {
  const fs::path folder = EditedModel("shards", [](TensorMap*) {});
  const SafetensorsFile whole = *SafetensorsFile::Open((folder / "model.safetensors").string());
  TensorMap shards[2];
  std::string map;
  for (const auto& [name, view] : whole.tensors()) {
    const bool second = name.find("layers.2") != std::string::npos;
    shards[second ? 1 : 0][name] = view;
    map += (map.empty() ? "\"" : ", \"") + name + "\": \"s" + (second ? "1" : "0") + "\"";
  }
  ASSERT_TRUE(WriteFileAtomically(folder / "s0", tensorfile::WriteSafetensors(shards[0])));
  ASSERT_TRUE(WriteFileAtomically(folder / "s1", tensorfile::WriteSafetensors(shards[1])));
  const fs::path index = folder / "model.safetensors.index.json";
  ASSERT_TRUE(WriteFileAtomically(index, "{\"weight_map\": {" + map + "}}"));
  fs::remove(folder / "model.safetensors");
  EXPECT_EQ(LoadError(folder), "accepted");
  ASSERT_TRUE(WriteFileAtomically(index, R"({"weight_map": {"a": "../s0"}})"));
  EXPECT_THAT(LoadError(folder), HasSubstr("must be a plain file name"));
}

TEST(ModelIo, MissingFolderIsAnIoErrorThatNamesIt) {
  const auto model = LoadModel("/nowhere/model");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().kind, ErrorKind::kIo);
  EXPECT_THAT(model.error().Text(), HasSubstr("/nowhere/model"));
}

// Looking at a link to itself fails otherwise than by absence.
TEST(ModelIo, WeightsThatCannotBeLookedAtAreAnIoError) {
  const fs::path folder = EditedModel("loop", [](TensorMap*) {});
  fs::remove(folder / "model.safetensors");
  fs::create_symlink("model.safetensors", folder / "model.safetensors");
  const auto model = LoadModel(folder);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().kind, ErrorKind::kIo);
  EXPECT_THAT(model.error().Text(), HasSubstr("model.safetensors"));
}

// The file, 48 MiB of embedding, can be mapped within the limit, but not copied.
TEST(ModelIo, ModelsLargerThanMemoryAreAnError) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer ends the program instead of throwing std::bad_alloc";
#endif
  ModelConfig config = TinyConfig();
  config.vocab_size = 1 << 20;
  config.tied_embeddings = true;
  const fs::path folder = EditedModel("large", [&](TensorMap* tensors) {
    static const std::string zeros(48 << 20, '\0');
    (*tensors)["model.embed_tokens.weight"] = {
        tensorfile::DType::kF32, {config.vocab_size, config.hidden_size}, zeros};
    tensors->erase("lm_head.weight");
  });
  ASSERT_TRUE(
      WriteFileAtomically(folder / "config.json", WriteModelConfig(config, Precision::kFloat32)));
  const testing::MemoryLimit limit(72 << 20);
  if (!limit.IsKept()) GTEST_SKIP() << "this system does not keep to RLIMIT_AS";
  const auto model = LoadModel(folder);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().kind, ErrorKind::kNumerical);
  EXPECT_THAT(model.error().Text(), HasSubstr("there is not enough memory"));
}

TEST(ModelIo, UnsoundTensorsAreRefusedByName) {
  const std::string norm = "model.layers.1.input_layernorm.weight";
  EXPECT_THAT(LoadError(EditedModel("shape",
                                    [&](TensorMap* t) {
                                      (*t)[norm].shape = {3, 4};
                                    })),
              HasSubstr(norm + ": must have shape [12], got [3, 4]"));
  EXPECT_THAT(LoadError(EditedModel("missing",
                                    [&](TensorMap* t) {
                                      (*t)["other"] = (*t)[norm];
                                      t->erase(norm);
                                    })),
              HasSubstr("has no " + norm));
  EXPECT_THAT(LoadError(EditedModel("extra", [&](TensorMap* t) { (*t)["other"] = (*t)[norm]; })),
              HasSubstr("other is no tensor of the model"));
  const std::string nan(48, '\xff');
  EXPECT_THAT(LoadError(EditedModel("nan", [&](TensorMap* t) { (*t)[norm].bytes = nan; })),
              HasSubstr(norm + ": has a value that is not finite"));
}

TEST(ModelIo, UnsupportedFeaturesAreRefusedByName) {
  const fs::path file = FreshFolder("config") / "config.json";
  const auto error_with = [&](const std::string& member) {
    const std::string text = R"({"num_hidden_layers": 1, "hidden_size": 8, "vocab_size": 9,
        "num_attention_heads": 2, "intermediate_size": 4, )" +
                             member + "}";
    EXPECT_TRUE(WriteFileAtomically(file, text));
    const auto config = LoadModelConfig(file.parent_path());
    return config ? "accepted" : config.error().Text();
  };
  EXPECT_EQ(error_with(R"("rope_parameters": {"rope_theta": 5e5, "rope_type": "default"})"),
            "accepted");
  EXPECT_THAT(error_with(R"("model_type": "gpt2")"), HasSubstr("model_type"));
  EXPECT_THAT(error_with(R"("hidden_act": "gelu")"), HasSubstr("hidden_act"));
  EXPECT_THAT(error_with(R"("rope_scaling": {"rope_type": "yarn"})"), HasSubstr("rope_type"));
  EXPECT_THAT(error_with(R"("quantization_config": {"bits": 4})"), HasSubstr("quantized"));
  EXPECT_THAT(error_with(R"("num_key_value_heads": 3)"), HasSubstr("num_key_value_heads"));
}

}  // namespace
}  // namespace dashf::train
