#include "corpus/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/file.h"
#include "corpus/text_stream.h"

namespace dashf::corpus {
namespace {

using ::testing::HasSubstr;

Tokenizer TestTokenizer() {
  return Tokenizer::Load(DASHF_SOURCE_DIR "/src/corpus/testdata").value();
}

std::string ErrorOf(std::string_view text, std::optional<DataFormat> format = std::nullopt) {
  const auto samples = ParseSamples("f", text, format);
  return samples ? "accepted" : samples.error().Text();
}

const Expected<ChatTemplate> kNoTemplate =
    Fail(ErrorKind::kBadInput, "folder", "has no chat template");
const Conversation kGreeting = {
    .messages = {{Role::kSystem, "s"}, {Role::kUser, "hi"}, {Role::kAssistant, "ho"}}};

TEST(Samples, AreTheSameConversationInBothSpellingsAndBothFiles) {
  const std::vector<Sample> expected = {kGreeting};
  EXPECT_EQ(ParseSamples("f", R"([{"messages":[{"role":"system","content":"s"},
      {"role":"user","content":"hi"},{"role":"assistant","content":"ho"}],"id":1}])")
                .value(),
            expected);
  EXPECT_EQ(ParseSamples("f",
                         R"({"conversations":[{"from":"system","value":"s"},)"
                         R"({"from":"human","value":"hi"},{"from":"gpt","value":"ho"}]})")
                .value(),
            expected);
}

TEST(Samples, ContentTellsTheFormatAndAnOptionOverridesIt) {
  EXPECT_TRUE(std::holds_alternative<Record>(
      ParseSamples("f", R"({"instruction":"a","output":"b","text":"c"})")->front()));
  EXPECT_EQ(ParseSamples("f", R"({"text":"c"})").value(), (std::vector<Sample>{Document{"c"}}));
  EXPECT_EQ(ParseSamples("f", "one\n\n\ntwo\n").value(),
            (std::vector<Sample>{Document{"one"}, Document{"two"}}));
  EXPECT_EQ(ParseSamples("f", "[not JSON", DataFormat::kText).value(),
            (std::vector<Sample>{Document{"[not JSON"}}));
  EXPECT_EQ(
      ParseSamples("f", R"({"instruction":"a","output":"b","text":"c"})", DataFormat::kDocuments)
          .value(),
      (std::vector<Sample>{Document{"c"}}));
}

TEST(Samples, ComeBackFromTheLinesThatWereWritten) {
  for (const Sample& sample : {Sample(Record{"a", "\x01", "\"c\"\n"}),
                               Sample(kGreeting),
                               Sample(Document{"\xF0\x9F\x99\x82 {\n"})}) {
    const std::vector<Sample> samples = {sample, sample};
    EXPECT_EQ(ParseSamples("f", WriteSamples(samples)).value(), samples);
  }
}

TEST(Samples, ErrorsNameFileLineKeyAndRule) {
  const std::string good = R"({"messages":[{"role":"assistant","content":"a"}]})";
  EXPECT_EQ(ErrorOf(good + "\n" + R"({"messages":[{"role":"judge","content":"a"}]})"),
            "f: line 2: messages[0].role: must be system, user, assistant or tool, got \"judge\"");
  EXPECT_EQ(ErrorOf(good + "\n" + R"({"messages":[{"role":"user","content":["a"]}]})"),
            "f: line 2: messages[0].content[0]: must be an object, got \"a\"");
  EXPECT_EQ(
      ErrorOf(good + "\n" + R"({"messages":[{"role":"user","content":"a"}]})"),
      "f: line 2: must have one message of the assistant's at least that is to be learnt, got "
      R"({"messages":[{"role":"user","content":"a"}]})");
  EXPECT_EQ(ErrorOf(good + "\n" + R"({"instruction":"a","output":"b"})"),
            "f: line 2: missing key \"messages\"");
  EXPECT_EQ(ErrorOf(R"([{"text":"a"},{"text":""}])"), "f: [1].text: must not be empty, got \"\"");
  EXPECT_THAT(ErrorOf(R"({"question":"a","answer":"b"})"),
              HasSubstr("f: is of no known shape: must have \"instruction\""));
  EXPECT_EQ(ErrorOf("\n \n"), "f: holds no record");
  EXPECT_EQ(ErrorOf("[]"), "f: holds no record");
  EXPECT_EQ(ErrorOf("plain", DataFormat::kChat).substr(0, 11), "f: line 1: ");
}

TEST(Samples, APromptIsOneConversationThatNeedsNoAnswer) {
  const std::string path = ::testing::TempDir() + "prompt.json";
  const std::string line = R"({"messages":[{"role":"user","content":"hi"}]})";
  ASSERT_TRUE(WriteFileAtomically(path, line));
  EXPECT_EQ(ReadPrompt(path).value(), (Conversation{.messages = {{Role::kUser, "hi"}}}));
  ASSERT_TRUE(WriteFileAtomically(path, line + "\n" + line));
  EXPECT_THAT(ReadPrompt(path).error().Text(), HasSubstr("line 2: there must be one conversation"));
  EXPECT_FALSE(ReadPrompt("/nonexistent"));
}

// Every way to cut the tokens gives the whole text, and no piece ends within a character.
TEST(TextStream, GivesTheTextWithoutBreakingACharacter) {
  for (const std::string& folder :
       {std::string("/src/corpus/testdata"), std::string("/tests/parity/tokenizers/gpt2")}) {
    const Tokenizer tokenizer = Tokenizer::Load(DASHF_SOURCE_DIR + folder).value();
    const std::string text = "the \xF0\x9F\x99\x82\xED\x95\x9C user \xEF\xBF\xBD. \xE6\xBC\xA2";
    std::vector<int> ids = tokenizer.Encode(text, true);
    TextStream stream(tokenizer);
    std::string given;
    for (const int id : ids) {
      const std::string piece = stream.Add(id);
      EXPECT_EQ(tokenizer.Decode(tokenizer.EncodeText(piece)), piece);  // Valid UTF-8.
      given += piece;
    }
    EXPECT_EQ(given, text);
    EXPECT_EQ(stream.Finish(), "");
    stream.Add(ids[ids.size() - 1]);  // The last byte of a character alone.
    given += stream.Finish();
    ids.push_back(ids.back());
    EXPECT_EQ(given, tokenizer.Decode(ids));
  }
}

TEST(Samples, AConversationNeedsATemplate) {
  const std::vector<Sample> samples = {kGreeting};
  const auto examples = TokenizeSamples(samples, TestTokenizer(), kNoTemplate, 100);
  ASSERT_FALSE(examples);
  EXPECT_EQ(examples.error().Text(), "folder: has no chat template");
}

// Every token after BOS is counted, and only once; each window's first token is the one before it.
TEST(Samples, ALongDocumentBecomesWindowsThatOverlapByOneToken) {
  const Tokenizer tokenizer = TestTokenizer();
  const std::vector<Sample> samples = {Document{"the user trains the first layers of the model"}};
  const auto whole = TokenizeSamples(samples, tokenizer, kNoTemplate, 1000).value();
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].tokens.front(), tokenizer.bos_id());
  EXPECT_EQ(whole[0].tokens.back(), tokenizer.eos_id());
  EXPECT_EQ(whole[0].answer_tokens(), static_cast<int>(whole[0].tokens.size()) - 1);
  for (const int tokens_max : {3, 4, 5, static_cast<int>(whole[0].tokens.size()) - 1}) {
    std::vector<int> joined = {tokenizer.bos_id()};
    const auto windows = TokenizeSamples(samples, tokenizer, kNoTemplate, tokens_max);
    for (const Example& window : *windows) {
      EXPECT_LE(static_cast<int>(window.tokens.size()), tokens_max);
      EXPECT_EQ(window.answer_begin(), 1);
      EXPECT_EQ(window.tokens.front(), joined.back());
      joined.insert(joined.end(), window.tokens.begin() + 1, window.tokens.end());
    }
    EXPECT_EQ(joined, whole[0].tokens);
  }
}

Example TwoAnswers() {
  Example example;
  example.tokens.resize(20);
  std::iota(example.tokens.begin(), example.tokens.end(), 100);
  example.answers = {{5, 8}, {12, 20}};
  return example;
}

TEST(Fitted, KeepsTheAnswersThatFitWhole) {
  EXPECT_EQ(Fitted(TwoAnswers(), 1, 20).answers, TwoAnswers().answers);
  const Example first = Fitted(TwoAnswers(), 1, 19);
  EXPECT_EQ(first.answers, (std::vector<Span>{{5, 8}}));
  EXPECT_EQ(first.tokens.size(), 8u);
  EXPECT_EQ(first.tokens.back(), 107);
}

TEST(Fitted, LosesThePromptsBeginningWhereNotEvenTheFirstAnswerFits) {
  const Example cut = Fitted(TwoAnswers(), 1, 6);
  EXPECT_EQ(cut.tokens, (std::vector<int>{100, 103, 104, 105, 106, 107}));
  EXPECT_EQ(cut.answers, (std::vector<Span>{{3, 6}}));
  const Example shorter = Fitted(TwoAnswers(), 1, 3);
  EXPECT_EQ(shorter.tokens, (std::vector<int>{100, 104, 105}));
  EXPECT_EQ(shorter.answers, (std::vector<Span>{{2, 3}}));
  EXPECT_TRUE(cut.shortened && shorter.shortened);
  EXPECT_FALSE(Fitted(TwoAnswers(), 1, 20).shortened);
}

TEST(Fitted, CutsNoPromptForAnAnswerThatIsCutAnyway) {
  Example example;
  example.tokens.resize(40);
  std::iota(example.tokens.begin(), example.tokens.end(), 100);
  example.answers = {{8, 40}};
  const Example cut = Fitted(example, 1, 12);
  EXPECT_EQ(cut.tokens.front(), 100);
  EXPECT_EQ(cut.tokens.back(), 111);
  EXPECT_EQ(cut.answers, (std::vector<Span>{{8, 12}}));
  example.answers = {{20, 40}};  // Neither fits alone: the prompt's end and the answer's beginning.
  const Example both = Fitted(example, 1, 12);
  EXPECT_EQ(both.answers, (std::vector<Span>{{6, 12}}));
  EXPECT_EQ(both.tokens,
            (std::vector<int>{100, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125}));
}

}  // namespace
}  // namespace dashf::corpus
