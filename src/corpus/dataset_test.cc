#include "corpus/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace dashf::corpus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tokenizer TestTokenizer() {
  return Tokenizer::Load(DASHF_SOURCE_DIR "/src/corpus/testdata").value();
}

std::string ErrorOf(std::string_view text) {
  const auto records = ParseRecords("f", text);
  return records ? "accepted" : records.error().Text();
}

TEST(Records, ReadTheSameFromAnArrayAndFromLines) {
  const std::vector<Record> expected = {{"add", "1 2", "3"}, {"greet", "", "hi\n"}};
  EXPECT_EQ(ParseRecords("f", R"( [{"instruction":"add","input":"1 2","output":"3"},
                                  {"instruction":"greet","output":"hi\n","id":7}])")
                .value(),
            expected);
  EXPECT_EQ(ParseRecords("f",
                         "\n{\"instruction\":\"add\",\"input\":\"1 2\",\"output\":\"3\"}\r\n  \n"
                         "{\"instruction\":\"greet\",\"output\":\"hi\\n\"}")
                .value(),
            expected);
}

TEST(Records, ComeBackFromTheLinesThatWereWritten) {
  const std::vector<Record> records = {{"a \"quoted\"\n line", "\xF0\x9F\x99\x82\t\x01", ""},
                                       {"", "", "x\\u0041"}};
  EXPECT_EQ(ParseRecords("f", WriteRecords(records)).value(), records);
}

TEST(Records, ErrorsNameFileRecordAndKey) {
  EXPECT_EQ(ErrorOf(R"([{"instruction":"a","output":"b"},{"instruction":"a","output":5}])"),
            "f: [1].output: must be a string, got 5");
  EXPECT_EQ(ErrorOf("{\"instruction\":\"a\",\"output\":\"b\"}\n{\"instruction\":\"a\"}\n"),
            "f: line 2: missing key \"output\"");
  EXPECT_THAT(ErrorOf("{\"instruction\":\"a\",\"output\":\"b\"}\n{oops}"),
              HasSubstr("f: line 2: not valid JSON"));
  EXPECT_THAT(ErrorOf("[1]"), HasSubstr("f: [0]: must be an object"));
  EXPECT_EQ(ErrorOf(""), "f: holds no record");
  EXPECT_EQ(ErrorOf(" []"), "f: holds no record");
  EXPECT_EQ(ReadRecords("/nonexistent").error().kind, ErrorKind::kIo);
}

TEST(Prompt, IsAlpacasWithTheShortFormWhereThereIsNoInput) {
  EXPECT_EQ(PromptOf({"Add.", "1 2", "3"}),
            "Below is an instruction that describes a task, paired with an input that provides "
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n");
  EXPECT_EQ(PromptOf({"Greet.", "", "hi"}),
            "Below is an instruction that describes a task. Write a response that appropriately "
            "completes the request.\n\n### Instruction:\nGreet.\n\n### Response:\n");
}

// The turns of LLaMA-Factory's template: a system message in place of the task's description, each
// answer with EOS, all of them counted.
TEST(Examples, OfARecordWithAHistoryAreItsTurns) {
  const Tokenizer tokenizer = TestTokenizer();
  const Record record{.instruction = "Then?",
                      .input = "",
                      .output = "the layer",
                      .system = "Be brief.",
                      .history = {{"Who?", "the user"}}};
  const Example example = TokenizeRecord(record, tokenizer, 1000).value();
  ASSERT_EQ(example.answers.size(), 2u);
  const auto text = [&](int begin, int end) {
    return tokenizer.Decode(
        std::span(example.tokens)
            .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
  };
  const auto [first, second] = std::pair(example.answers[0], example.answers[1]);
  EXPECT_EQ(text(0, first.begin), "Be brief.\n\n### Instruction:\nWho?\n\n### Response:\n");
  EXPECT_EQ(text(first.begin, first.end), "the user");
  EXPECT_EQ(text(first.end, second.begin), "\n\n### Instruction:\nThen?\n\n### Response:\n");
  EXPECT_EQ(text(second.begin, second.end), "the layer");
  for (const Span& span : example.answers) {
    EXPECT_EQ(example.tokens[static_cast<std::size_t>(span.end) - 1], tokenizer.eos_id());
  }
}

// The tokenizer puts a space before every text, so the answer's own is there already.
TEST(Examples, OfACompletionHaveItsSpaceOnce) {
  const Tokenizer tokenizer = TestTokenizer();
  ASSERT_TRUE(tokenizer.adds_space());
  EXPECT_EQ(TokenizeTurns({{"the", " user"}}, tokenizer, 100)->tokens,
            TokenizeTurns({{"the", "user"}}, tokenizer, 100)->tokens);
}

TEST(Examples, AreBosPromptAnswerEos) {
  const Tokenizer tokenizer = TestTokenizer();
  const Record record{"Greet the server.", "", "the user trains"};
  const Example example = TokenizeRecord(record, tokenizer, 1000).value();
  const std::vector<int>& tokens = example.tokens;
  const int begin = example.answer_begin();
  EXPECT_EQ(example.answers, (std::vector<Span>{{begin, static_cast<int>(tokens.size())}}));
  EXPECT_EQ(tokens.front(), tokenizer.bos_id());
  EXPECT_EQ(tokens.back(), tokenizer.eos_id());
  EXPECT_EQ(tokenizer.Decode(std::span(tokens).first(static_cast<std::size_t>(begin))),
            PromptOf(record));
  EXPECT_EQ(tokenizer.Decode(std::span(tokens).subspan(static_cast<std::size_t>(begin))),
            record.output);
}

TEST(Examples, CutTheFrontOfALongPromptAndNeverTheAnswer) {
  const Tokenizer tokenizer = TestTokenizer();
  const Record record{std::string(500, 'q'), "", "the layer"};
  const Example whole = TokenizeRecord(record, tokenizer, 100000).value();
  const auto answer = whole.tokens.size() - static_cast<std::size_t>(whole.answer_begin());
  const Example cut = TokenizeRecord(record, tokenizer, 40).value();
  ASSERT_EQ(cut.tokens.size(), 40u);
  EXPECT_EQ(cut.tokens[0], tokenizer.bos_id());
  EXPECT_EQ(cut.answer_begin(), 40 - static_cast<int>(answer));
  EXPECT_TRUE(std::equal(cut.tokens.rbegin(), cut.tokens.rend() - 1, whole.tokens.rbegin()));
}

TEST(Examples, CutTheEndOfAnAnswerThatDoesNotFitAlone) {
  const Tokenizer tokenizer = TestTokenizer();
  const Record record{"a", "", "the server trains the layers"};
  const Example whole = TokenizeRecord(record, tokenizer, 100000).value();
  const Example cut = TokenizeRecord(record, tokenizer, 4).value();
  ASSERT_EQ(cut.tokens.size(), 4u);
  EXPECT_EQ(cut.answer_begin(), 2);  // BOS and the prompt's last token stay.
  EXPECT_EQ(cut.tokens[1], whole.tokens[static_cast<std::size_t>(whole.answer_begin()) - 1]);
  EXPECT_EQ(cut.tokens[2], whole.tokens[static_cast<std::size_t>(whole.answer_begin())]);
  EXPECT_EQ(cut.tokens[3], whole.tokens[static_cast<std::size_t>(whole.answer_begin()) + 1]);
}

TEST(PlainText, IsDocumentsBetweenBosAndEos) {
  const Tokenizer tokenizer = TestTokenizer();
  std::vector<int> expected;
  for (const char* document : {"the user", "a\n\nlayer"}) {
    const std::vector<int> ids = tokenizer.Encode(document, true);
    expected.insert(expected.end(), ids.begin(), ids.end());
    expected.push_back(tokenizer.eos_id());
  }
  EXPECT_EQ(TokenizeText("the user\n\n\na\n\nlayer\n\n\n\n", tokenizer), expected);
  EXPECT_TRUE(TokenizeText("", tokenizer).empty());
}

}  // namespace
}  // namespace dashf::corpus
