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

TEST(Examples, AreBosPromptAnswerEos) {
  const Tokenizer tokenizer = TestTokenizer();
  const Record record{"Greet the server.", "", "the user trains"};
  const std::vector<Example> examples = Tokenize(std::vector{record}, tokenizer, 1000);
  ASSERT_EQ(examples.size(), 1u);
  const std::vector<int>& tokens = examples[0].tokens;
  const int begin = examples[0].answer_begin();
  EXPECT_EQ(examples[0].answers, (std::vector<Span>{{begin, static_cast<int>(tokens.size())}}));
  EXPECT_EQ(tokens.front(), tokenizer.bos_id());
  EXPECT_EQ(tokens.back(), tokenizer.eos_id());
  EXPECT_EQ(tokenizer.Decode(std::span(tokens).first(static_cast<std::size_t>(begin))),
            PromptOf(record));
  EXPECT_EQ(tokenizer.Decode(std::span(tokens).subspan(static_cast<std::size_t>(begin))),
            record.output);
}

TEST(Examples, CutTheFrontOfALongPromptAndNeverTheAnswer) {
  const Tokenizer tokenizer = TestTokenizer();
  const std::vector<Record> record = {{std::string(500, 'q'), "", "the layer"}};
  const Example whole = Tokenize(record, tokenizer, 100000)[0];
  const auto answer = whole.tokens.size() - static_cast<std::size_t>(whole.answer_begin());
  const Example cut = Tokenize(record, tokenizer, 40)[0];
  ASSERT_EQ(cut.tokens.size(), 40u);
  EXPECT_EQ(cut.tokens[0], tokenizer.bos_id());
  EXPECT_EQ(cut.answer_begin(), 40 - static_cast<int>(answer));
  EXPECT_TRUE(std::equal(cut.tokens.rbegin(), cut.tokens.rend() - 1, whole.tokens.rbegin()));
}

TEST(Examples, CutTheEndOfAnAnswerThatDoesNotFitAlone) {
  const Tokenizer tokenizer = TestTokenizer();
  const std::vector<Record> record = {{"a", "", "the server trains the layers"}};
  const Example whole = Tokenize(record, tokenizer, 100000)[0];
  const Example cut = Tokenize(record, tokenizer, 4)[0];
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
