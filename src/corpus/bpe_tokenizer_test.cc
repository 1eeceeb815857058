// tokenizer.json, held against Hugging Face's tokenizers: tests/parity/tokenizers was made by
// tests/parity/record_tokenizers.py.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "corpus/dataset.h"
#include "corpus/tokenizer.h"
#include "corpus/tokenizer_json.h"

namespace dashf::corpus {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kRecorded = DASHF_SOURCE_DIR "/tests/parity/tokenizers";

Tokenizer Load(const std::string& family) {
  auto tokenizer = Tokenizer::Load(kRecorded / family);
  EXPECT_TRUE(tokenizer) << tokenizer.error().Text();
  return *std::move(tokenizer);
}

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

class Recorded : public ::testing::TestWithParam<std::string> {};

TEST_P(Recorded, IdsAndTextsAreThoseOfHuggingFacesTokenizers) {
  const Tokenizer tokenizer = Load(GetParam());
  std::istringstream golden(*ReadFile(kRecorded / GetParam() / "golden.tsv"));
  int compared = 0;
  for (std::string line; std::getline(golden, line); ++compared) {
    const std::size_t first = line.find('\t'), second = line.find('\t', first + 1);
    const std::string text = FromHex(line.substr(0, first));
    std::istringstream numbers(line.substr(first + 1, second - first - 1));
    std::vector<int> ids;
    for (int id = 0; numbers >> id;) ids.push_back(id);
    EXPECT_EQ(tokenizer.Encode(text, false), ids) << line;
    EXPECT_EQ(tokenizer.Decode(ids), FromHex(line.substr(second + 1))) << line;
  }
  EXPECT_GT(compared, 100);
}

// Whatever there is 200,000 times: no text may take more than about linear time or more stack.
TEST_P(Recorded, MonotonousTextsComeBack) {
  const Tokenizer tokenizer = Load(GetParam());
  for (const std::string_view unit : {" ", "\n", " \n", "!", "1", "\xC2\xA0", "a ", "'s", "\r!"}) {
    std::string text = "x";
    for (int i = 0; i < 200'000; ++i) text += unit;
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, false)), text) << "of " << unit;
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text + "y", false)), text + "y") << "of " << unit;
  }
}

// n letters are one word; merging it takes O(n log n), so that no text stalls a user.
TEST_P(Recorded, AVeryLongWordIsMergedAndComesBack) {
  const Tokenizer tokenizer = Load(GetParam());
  std::string word;
  for (int i = 0; i < 200'000; ++i) word += "adapters"[i % 7 * (i % 5) % 8];
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(word, false)), word);
}

INSTANTIATE_TEST_SUITE_P(
    Families,
    Recorded,
    ::testing::Values(
        "gpt2", "llama3", "qwen2", "smollm", "smollm2", "tekken", "llama2", "mistral", "gemma"),
    [](const auto& test) { return test.param; });

// Some 20 of SmolLM2's bytes have no token either.
TEST(ByteLevelTokens, BytesWithoutATokenAreLeftOut) {
  const Tokenizer smollm2 = Load("smollm2");
  EXPECT_TRUE(smollm2.Encode("\x04", false).empty());
  EXPECT_EQ(smollm2.Decode(smollm2.Encode("a\x04z", false)), "az");
}

// A space before every text, as Llama 2 has it, or before the first alone, as later ones do.
TEST(CharacterTokens, ASpaceIsPutBeforeTexts) {
  const Tokenizer llama2 = Load("llama2"), mistral = Load("mistral"), gemma = Load("gemma");
  EXPECT_TRUE(llama2.adds_space());
  EXPECT_FALSE(gemma.adds_space());
  EXPECT_EQ(llama2.EncodeText("the", true), llama2.EncodeText("the", false));
  EXPECT_EQ(mistral.EncodeText("the", true), mistral.EncodeText(" the", false));
  EXPECT_NE(mistral.EncodeText("the", true), mistral.EncodeText("the", false));
}

TEST(ByteLevelTokens, BeginAndEndAreWhatTheFilesSay) {
  const Tokenizer llama3 = Load("llama3");
  EXPECT_EQ(llama3.Piece(llama3.bos_id()), "<|begin_of_text|>");
  EXPECT_EQ(llama3.Piece(llama3.eos_id()), "<|eot_id|>");
  EXPECT_EQ(llama3.Encode("a", true).front(), llama3.bos_id());
  const Tokenizer qwen2 = Load("qwen2");
  EXPECT_EQ(qwen2.bos_id(), -1);
  EXPECT_EQ(qwen2.Piece(qwen2.eos_id()), "<|im_end|>");
  EXPECT_EQ(qwen2.Encode("a", true), qwen2.Encode("a", false));
}

// Special tokens are found in a text and decode to nothing; the others that were added do not
// vanish.
TEST(ByteLevelTokens, AddedTokensAreFoundWhole) {
  const Tokenizer qwen2 = Load("qwen2");
  const std::vector<int> ids = qwen2.Encode("<|im_start|>x<tool_call><|im_end|>", false);
  ASSERT_EQ(ids.size(), 4U);
  EXPECT_EQ(ids.back(), qwen2.eos_id());
  EXPECT_EQ(qwen2.Decode(ids), "x<tool_call>");
}

TEST(ByteLevelTokens, BytesThatAreNoUtf8AreReadAsReplacementCharacters) {
  const Tokenizer gpt2 = Load("gpt2");
  EXPECT_EQ(gpt2.Encode("a\xFF\xC3z", false), gpt2.Encode("a\xEF\xBF\xBD\xEF\xBF\xBDz", false));
}

TEST(ByteLevelTokens, ARecordsPromptAndAnswerAreEncodedApart) {
  const Tokenizer llama3 = Load("llama3");
  const Record record{"Say it.", "", "yes"};
  const Example example = TokenizeRecord(record, llama3, 512).value();
  const std::vector<int> answer(example.tokens.begin() + example.answer_begin(),
                                example.tokens.end());
  EXPECT_EQ(llama3.Decode(answer), "yes");
  EXPECT_EQ(example.tokens.front(), llama3.bos_id());
  EXPECT_EQ(example.tokens.back(), llama3.eos_id());
}

// `found` in the recorded file replaced by `other`.
std::string Refusal(const std::string& family, const std::string& found, const std::string& other) {
  std::string json = *ReadFile(kRecorded / family / "tokenizer.json");
  const std::size_t at = json.find(found);
  EXPECT_NE(at, std::string::npos) << found;
  json.replace(at, found.size(), other);
  const auto model = ParseTokenizerJson("tokenizer.json", json);
  return model ? "accepted" : model.error().Text();
}

TEST(ByteLevelTokens, WhatIsNotSupportedIsRefusedByName) {
  EXPECT_THAT(Refusal("gpt2", R"("type":"BPE")", R"("type":"Unigram")"), HasSubstr("model.type"));
  EXPECT_THAT(Refusal("qwen2", R"("type":"NFC")", R"("type":"NFKC")"), HasSubstr("NFKC"));
  EXPECT_THAT(Refusal("gpt2", R"("add_prefix_space":false)", R"("add_prefix_space":true)"),
              HasSubstr("add_prefix_space"));
  EXPECT_THAT(Refusal("llama3", "{1,3}", "{1,4}"), HasSubstr("only the isolated splits"));
  EXPECT_THAT(Refusal("llama3", R"("behavior":"Isolated")", R"("behavior":"Removed")"),
              HasSubstr("only the isolated splits"));
  EXPECT_THAT(Refusal("gpt2",
                      R"("pre_tokenizer":{"type":"ByteLevel")",
                      R"("pre_tokenizer":{"type":"BertPreTokenizer")"),
              HasSubstr("BertPreTokenizer"));
  EXPECT_THAT(Refusal("gpt2", R"("single_word":false)", R"("single_word":true)"),
              HasSubstr("single_word"));
  EXPECT_THAT(Refusal("llama2", R"("type":"Prepend")", R"("type":"Lowercase")"),
              HasSubstr("normalizer.normalizers[0]: only \"NFC\", \"Prepend\""));
  EXPECT_THAT(Refusal("llama2", R"("type":"Fuse")", R"("type":"WordPiece")"),
              HasSubstr("decoder.decoders[2]: \"WordPiece\" is not supported"));
}

TEST(ByteLevelTokens, BrokenFilesAreRefusedWithTheirPlace) {
  EXPECT_THAT(Refusal("gpt2", R"("!":0)", R"("!":-1)"), HasSubstr("model.vocab.!"));
  EXPECT_THAT(Refusal("gpt2", R"("!":0)", R"("!":1)"), HasSubstr("another token already"));
  EXPECT_THAT(Refusal("gpt2", R"("merges":[[)", R"("merges":[["only"],[)"),
              HasSubstr("model.merges[0]"));
  EXPECT_THAT(Refusal("gpt2", R"("merges":[[)", R"("merges":[["q","qqq"],[)"),
              HasSubstr("is not in the vocabulary"));
  EXPECT_NE(Refusal("gpt2", "{", "["), "accepted");
}

}  // namespace
}  // namespace dashf::corpus
