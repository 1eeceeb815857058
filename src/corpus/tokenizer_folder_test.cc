// What stands beside a tokenizer in a model folder: added tokens, and which tokens end a text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "corpus/dataset.h"
#include "corpus/tokenizer.h"

namespace dashf::corpus {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const fs::path kSentencePiece = DASHF_SOURCE_DIR "/src/corpus/testdata/tokenizer.model";
const fs::path kQwen2 = DASHF_SOURCE_DIR "/tests/parity/tokenizers/qwen2/tokenizer.json";

class TokenizerFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void Write(const char* name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(folder_ / name, text));
  }
  void Copy(const fs::path& file) { fs::copy(file, folder_); }
  Expected<Tokenizer> Load() { return Tokenizer::Load(folder_.string()); }
  std::string EndOf(const Expected<Tokenizer>& tokenizer) {
    EXPECT_TRUE(tokenizer) << tokenizer.error().Text();
    return std::string(tokenizer->Piece(tokenizer->eos_id()));
  }
  fs::path folder_;
};

// Each file that tells outweighs those that stand before it here; a text ends at what any of them
// names.
TEST_F(TokenizerFolder, TheEndOfAnAnswerIsWhatTheFirstFileSaysThatTells) {
  Copy(kQwen2);
  EXPECT_EQ(Load()->eos_id(), -1);
  EXPECT_THAT(Load()->stop_ids(), IsEmpty());
  const int end_of_text = Load()->SpecialId("<|endoftext|>");
  const int begin = Load()->SpecialId("<|im_start|>"), end = Load()->SpecialId("<|im_end|>");
  const auto ids = [](int id) { return "{\"eos_token_id\": " + std::to_string(id) + "}"; };
  Write("generation_config.json", ids(begin));
  EXPECT_EQ(Load()->eos_id(), begin);
  Write("config.json", "{\"eos_token_id\": -1}");
  EXPECT_EQ(Load()->eos_id(), begin);
  Write("config.json", ids(end_of_text));
  EXPECT_EQ(Load()->eos_id(), end_of_text);
  Write("special_tokens_map.json", R"({"eos_token": {"content": "<|im_end|>"}})");
  EXPECT_EQ(EndOf(Load()), "<|im_end|>");
  Write("tokenizer_config.json", R"({"eos_token": "<|endoftext|>"})");
  EXPECT_EQ(EndOf(Load()), "<|endoftext|>");
  Write("tokenizer_config.json", R"({"eos_token": null})");
  EXPECT_EQ(EndOf(Load()), "<|im_end|>");
  EXPECT_THAT(Load()->stop_ids(), ElementsAre(end, end_of_text, begin));
  Write("tokenizer_config.json", R"({"eos_token": "<|nothing|>"})");
  EXPECT_THAT(Load().error().Text(), HasSubstr("eos_token \"<|nothing|>\" is no token"));
}

TEST_F(TokenizerFolder, TokenizerModelsOwnEndIsTheLastToTell) {
  Copy(kSentencePiece);
  EXPECT_EQ(EndOf(Load()), "</s>");
  const int other = Load()->eos_id() + 5;
  Write("config.json", "{\"eos_token_id\": [" + std::to_string(other) + ", 1]}");
  EXPECT_EQ(Load()->eos_id(), other);
  EXPECT_THAT(Load()->stop_ids(), ElementsAre(other, 1));
}

TEST_F(TokenizerFolder, TokensBesideTokenizerModelAreItsOwn) {
  Copy(kSentencePiece);
  const Tokenizer bare = Load().value();
  const int first = bare.vocab_size();
  const auto number = [first](int i) { return std::to_string(first + i); };
  Write("added_tokens.json",
        R"({"<|im_start|>": )" + number(0) + R"(, "<|im_end|>": )" + number(1) + "}");
  Write("tokenizer_config.json",
        R"({"eos_token": "<|im_end|>", "added_tokens_decoder": {")" + number(2) +
            R"(": {"content": "<b>", "special": false}}})");
  const Tokenizer tokenizer = Load().value();
  EXPECT_EQ(tokenizer.vocab_size(), first + 3);
  EXPECT_EQ(tokenizer.SpecialId("<|im_start|>"), first);
  EXPECT_EQ(tokenizer.eos_id(), first + 1);
  EXPECT_EQ(tokenizer.SpecialId("<b>"), -1);
  EXPECT_THAT(tokenizer.Encode("<|im_start|><b><|im_end|>", false),
              ElementsAre(first, first + 2, first + 1));
  // Nobody's text ends a turn.
  EXPECT_EQ(tokenizer.EncodeText("the <|im_end|>"), bare.EncodeText("the <|im_end|>"));
  EXPECT_EQ(tokenizer.Decode(std::vector{first, first + 2, first + 1}), "<b>");
  const Example example = TokenizeTurns({{"the", "user"}}, tokenizer, 100).value();
  EXPECT_EQ(example.tokens.back(), first + 1);
}

TEST_F(TokenizerFolder, WhatIsNoSentencePieceModelGivesWayToTokenizerJson) {
  Copy(kQwen2);
  Write("tokenizer.model", "IQ== 0\nIg== 1\nIw== 2\n");  // As tiktoken has it.
  EXPECT_GE(Load()->SpecialId("<|im_end|>"), 0);
  Write("tokenizer.json", "{}");
  EXPECT_THAT(Load().error().Text(), HasSubstr("tokenizer.json: model: must be an object; and "));
}

TEST_F(TokenizerFolder, PointersOfGitLfsAreNamed) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  Write("tokenizer.json", pointer);
  EXPECT_THAT(Load().error().Text(), HasSubstr("tokenizer.json: is a Git LFS pointer"));
  Write("tokenizer.model", pointer);
  fs::remove(folder_ / "tokenizer.json");
  EXPECT_THAT(Load().error().Text(), HasSubstr("tokenizer.model: is a Git LFS pointer"));
}

// Where the class of Llama's or Gemma's tokenizer decides on BOS, as transformers does.
TEST_F(TokenizerFolder, LlamasClassPutsBosUnlessItIsToldNotTo) {
  fs::copy(DASHF_SOURCE_DIR "/tests/parity/tokenizers/llama2/tokenizer.json", folder_);
  EXPECT_EQ(Load()->bos_id(), -1);
  Write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>"})");
  EXPECT_EQ(Load()->Piece(Load()->bos_id()), "<s>");
  Write("tokenizer_config.json",
        R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "add_bos_token": false})");
  EXPECT_EQ(Load()->bos_id(), -1);
}

}  // namespace
}  // namespace dashf::corpus
