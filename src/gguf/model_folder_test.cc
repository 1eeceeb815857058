#include "gguf/model_folder.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace dashf::gguf {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;
using Integers = std::vector<std::int64_t>;

Metadata ByteLevel() {
  return {{"general.architecture", std::string("llama")},
          {"tokenizer.ggml.model", std::string("gpt2")},
          {"tokenizer.ggml.pre", std::string("smollm")},
          {"tokenizer.ggml.tokens", Texts{"<s>", "a", "b", "ab", "<|im_end|>", "<name>", "[PAD6]"}},
          {"tokenizer.ggml.token_type", Integers{3, 1, 1, 1, 3, 4, 5}},
          {"tokenizer.ggml.merges", Texts{"a b"}},
          {"tokenizer.ggml.bos_token_id", std::int64_t{0}},
          {"tokenizer.ggml.eos_token_id", std::int64_t{4}},
          {"tokenizer.chat_template", std::string("{{ messages }}")}};
}

ModelFolder FolderOf(const Metadata& metadata) {
  const std::string path = ::testing::TempDir() + "folder.gguf";
  EXPECT_TRUE(WriteFileAtomically(path, Write(metadata, {})));
  return *ModelFolder::Open(path);
}

TEST(GgufModelFolder, HasTheFilesOfAByteLevelTokenizer) {
  Metadata metadata = ByteLevel();
  const ModelFolder folder = FolderOf(metadata);
  EXPECT_TRUE(folder.Has("tokenizer.json"));
  EXPECT_FALSE(folder.Has("tokenizer.model"));
  EXPECT_FALSE(folder.Has("generation_config.json"));
  EXPECT_THAT(folder.Place("tokenizer.json"), HasSubstr("folder.gguf: tokenizer.json"));
  const Json file = Json::parse(*folder.Read("tokenizer.json"));
  // Special tokens that stand before the vocabulary's end are part of it; padding is left out.
  EXPECT_EQ(file["model"]["vocab"], (Json{{"<s>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}}));
  EXPECT_EQ(file["model"]["merges"], Json::array({"a b"}));
  ASSERT_EQ(file["added_tokens"].size(), 3U);
  EXPECT_EQ(file["added_tokens"][1]["content"], "<|im_end|>");
  EXPECT_EQ(file["added_tokens"][1]["id"], 4);
  EXPECT_TRUE(file["added_tokens"][1]["special"]);
  EXPECT_FALSE(file["added_tokens"][2]["special"]);
  EXPECT_EQ(file["pre_tokenizer"]["pretokenizers"][0]["type"], "Digits");
  EXPECT_TRUE(file["post_processor"].is_null());
  const Json config = Json::parse(*folder.Read("tokenizer_config.json"));
  EXPECT_EQ(config["eos_token"], "<|im_end|>");
  EXPECT_EQ(config["chat_template"], "{{ messages }}");
  metadata["tokenizer.ggml.add_bos_token"] = true;
  const Json with_bos = Json::parse(*FolderOf(metadata).Read("tokenizer.json"));
  EXPECT_EQ(with_bos["post_processor"]["single"][0]["SpecialToken"]["id"], "<s>");
}

TEST(GgufModelFolder, RefusesTokenizersThatItCannotSay) {
  const auto refusal = [](const char* key, Value value) {
    Metadata metadata = ByteLevel();
    metadata[key] = std::move(value);
    const auto read = FolderOf(metadata).Read("tokenizer.json");
    return read ? std::string("accepted") : read.error().Text();
  };
  EXPECT_THAT(refusal("tokenizer.ggml.pre", std::string("tekken")),
              HasSubstr("tokenizer.ggml.pre: \"tekken\" is not read"));
  EXPECT_THAT(refusal("tokenizer.ggml.token_type", Integers{1}), HasSubstr("must be 7"));
  EXPECT_THAT(refusal("tokenizer.ggml.token_type", Integers{1, 1, 1, 1, 1, 1, 9}),
              HasSubstr("must be in [1, 6], got 9"));
  EXPECT_THAT(refusal("tokenizer.ggml.bos_token_id", std::int64_t{7}),
              HasSubstr("must be in [0, 6], got 7"));
  EXPECT_THAT(refusal("tokenizer.ggml.tokens", Texts{"<s>", "a", "b", "a", "d", "e", "f"}),
              HasSubstr("\"a\" stands twice"));
  EXPECT_THAT(refusal("tokenizer.ggml.merges", std::int64_t{3}),
              HasSubstr("must be a list of strings"));
}

TEST(GgufModelFolder, NamesAKindOfTokenizerThatIsNotRead) {
  Metadata metadata = ByteLevel();
  metadata["tokenizer.ggml.model"] = std::string("bert");
  const ModelFolder folder = FolderOf(metadata);
  EXPECT_FALSE(folder.Has("tokenizer.json"));
  EXPECT_THAT(folder.Read("tokenizer.model").error().Text(),
              HasSubstr("tokenizer.ggml.model: must be \"gpt2\" or \"llama\", got \"bert\""));
}

TEST(GgufModelFolder, OfAFolderIsTheFolder) {
  const std::string path = ::testing::TempDir() + "plain";
  ASSERT_TRUE(WriteFileAtomically(path + "/config.json", "{}"));
  const auto folder = ModelFolder::Open(path);
  ASSERT_TRUE(folder);
  EXPECT_TRUE(folder->Has("config.json"));
  EXPECT_FALSE(folder->Has("tokenizer.json"));
  EXPECT_EQ(*folder->Read("config.json"), "{}");
  EXPECT_EQ(folder->Place("config.json"), path + "/config.json");
  EXPECT_EQ(ModelFolder::Open(path + "/none").error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace dashf::gguf
