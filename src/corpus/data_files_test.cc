// Data files as people have them: read for what they are, or refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "corpus/samples.h"

namespace dashf::corpus {
namespace {

using namespace std::literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kRecords =
    "{\"instruction\": \"Plural?\", \"input\": \"mouse\", \"output\": \"mice\"}\n"
    "{\"instruction\": \"Hello?\", \"output\": \"Hi.\"}\n";
const std::vector<Sample> kExpected = {Record{"Plural?", "mouse", "mice"},
                                       Record{"Hello?", "", "Hi."}};

std::string ErrorOf(std::string_view bytes, std::optional<DataFormat> format = std::nullopt) {
  const auto samples = ParseSamples("f", bytes, format);
  return samples ? "accepted" : samples.error().Text();
}
std::vector<Sample> Read(std::string_view bytes) {
  const auto samples = ParseSamples("f", bytes);
  EXPECT_TRUE(samples) << samples.error().Text();
  return samples.value_or(std::vector<Sample>{});
}
std::vector<Message> Messages(std::string_view bytes) {
  const auto samples = Read(bytes);
  return samples.empty() ? std::vector<Message>{}
                         : std::get<Conversation>(samples.front()).messages;
}

TEST(DataFiles, AreTheSameRecordsInEveryShape) {
  const std::string one = R"({"instruction": "Plural?", "input": "mouse", "output": "mice"})";
  const std::string two = R"({"instruction": "Hello?", "input": null, "output": "Hi."})";
  EXPECT_EQ(Read(kRecords), kExpected);
  EXPECT_EQ(Read("\xEF\xBB\xBF"s + kRecords), kExpected);
  EXPECT_EQ(Read("[" + one + ",\n" + two + "]"), kExpected);
  EXPECT_EQ(Read("\xEF\xBB\xBF [\r\n" + one + ",\r\n" + two + "]\r\n"), kExpected);
  EXPECT_EQ(Read(one + "\r\n\r\n" + two + "\r\n"), kExpected);
  EXPECT_EQ(Read(R"({"version": 1, "data": [)" + one + "," + two + "]}"), kExpected);
  EXPECT_EQ(Read("{\n \"data\": [\n" + one + "," + two + "\n]\n}"), kExpected);
  EXPECT_EQ(Read("\n{\n\"instruction\": \"Hello?\",\n\"output\": \"Hi.\"\n}\n"),
            std::vector<Sample>{kExpected[1]});
  EXPECT_EQ(Read(two), std::vector<Sample>{kExpected[1]});
}

TEST(DataFiles, ErrorsOfEveryShapeNameThePlace) {
  const std::string good = R"({"instruction": "a", "output": "b"})";
  EXPECT_EQ(ErrorOf(good + "\n" + R"({"instruction": "a"})"), "f: line 2: missing key \"output\"");
  EXPECT_EQ(ErrorOf(R"({"data": [)" + good + R"(, {"instruction": "a"}]})"),
            "f: data[1]: missing key \"output\"");
  EXPECT_THAT(ErrorOf("{\n\"instruction\": \"a\"\n\"output\": \"b\"}"),
              HasSubstr("records are lines of one object each, an array, or one object"));
  EXPECT_EQ(ErrorOf(R"({"data": []})"), "f: holds no record");
  EXPECT_THAT(ErrorOf(R"({"question": "a", "answer": "b"})"),
              HasSubstr("is of no known shape: must have \"instruction\" and \"output\", "
                        "\"prompt\" and \"completion\", \"messages\""));
}

TEST(DataFiles, OfOtherKindsAreRefusedWithTheWayToConvertThem) {
  std::string utf16 = "\xFF\xFE", unmarked;
  for (const char* c = kRecords; *c != '\0'; ++c) unmarked += {*c, '\0'};
  utf16 += unmarked;
  const std::pair<std::string, std::string> kCases[] = {
      {utf16, "f: is UTF-16; convert it: iconv -f utf-16 -t utf-8 'f'"},
      {unmarked, "f: is UTF-16; convert it: iconv -f utf-16le"},
      {"\xFF\xFE\0\0{\0\0\0"s, "f: is UTF-32; convert it: iconv -f utf-32"},
      {"PAR1\x15\x04\0\x7F"s, "f: is Parquet; convert it: python3 -c"},
      {"ARROW1\0\0"s, "f: is Arrow; convert it: python3 -c"},
      {"\x1F\x8B\x08\0"s, "f: is gzip; convert it: gunzip 'f'"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n",
       "f: is a Git LFS pointer, not the file it stands for; fetch that: git lfs pull"},
      {"{\"text\": \"a\0\"}"s, "f: is binary"},
      {"{\"text\": \"caf\xE9\"}", "f: byte 13 is not UTF-8; if the text is Latin-1"},
  };
  for (const auto& [bytes, refusal] : kCases) {
    EXPECT_THAT(ErrorOf(bytes), HasSubstr(refusal));
    EXPECT_THAT(ErrorOf(bytes, DataFormat::kText), HasSubstr(refusal));
  }
}

TEST(DataFiles, TextThatIsDataOfAnotherFormIsTakenForTextOnlyWhereItIsSaidToBe) {
  const std::pair<std::string, std::string> kCases[] = {
      {"instruction,input,output\r\nPlural?,mouse,mice\r\n", "f: is a table (CSV); convert it"},
      {"id\tPrompt\tcompletion\n1\ta\tb\n", "f: is a table (CSV); convert it"},
      {"\n<!DOCTYPE html>\n<html><body>404</body></html>\n", "f: is a page in HTML, not data"},
      {"# my data\n"s + kRecords, "f: has \"# my data\" before its JSON records"},
      {"// mine\n\n[\n  {\"instruction\": \"a\"}]", "f: has \"// mine\" before its JSON records"},
  };
  for (const auto& [text, refusal] : kCases) {
    EXPECT_THAT(ErrorOf(text), HasSubstr(refusal));
    EXPECT_EQ(ErrorOf(text, DataFormat::kText), "accepted");
  }
  for (const char* prose : {"# A heading\n\n[link](there)\n",
                            "Text, input, and then more of it.\n",
                            "Output\n",
                            "# 1\n{x}\n"}) {
    EXPECT_EQ(ErrorOf(prose), "accepted") << prose;
  }
}

TEST(DataFiles, TablesOfNumbersAreNoText) {
  const std::string sites =
      "SITE_ID,LATITUDE,LONGITUDE,NAME\n1,-37.8,144.9,\"A, B\"\n2,-37.7,144.8,C\n";
  EXPECT_THAT(ErrorOf(sites), HasSubstr("is a table (CSV); convert it"));
  EXPECT_THAT(ErrorOf("x;y\r\n1;2\r\n3;4\r\n"), HasSubstr("is a table (CSV)"));
  EXPECT_THAT(ErrorOf("1.5\t2\n3\t4e3\n5\t-6\n"), HasSubstr("is a table (CSV)"));
  EXPECT_EQ(ErrorOf(sites, DataFormat::kText), "accepted");
  // Prose with commas and numbers is none: neither as many in each line nor columns of numbers.
  EXPECT_EQ(ErrorOf("In 1900, he came.\nIn 1901, he saw, too.\nIn 1902, he went.\n"), "accepted");
  EXPECT_EQ(ErrorOf("Red, white.\nRoses, tulips.\nOne, 2.\n"), "accepted");
  EXPECT_EQ(ErrorOf("10\n20\n30\n"), "accepted");
}

TEST(DataFiles, AListOfMessagesAloneIsOneConversation) {
  const std::string list =
      R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}])";
  EXPECT_EQ(Read(list), Read(R"({"messages": )" + list + "}"));
  EXPECT_EQ(Read("[" + list + "," + list + "]").size(), 2u);
  EXPECT_EQ(Read(R"([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}])"),
            Read(list));
  EXPECT_THAT(ErrorOf(R"([{"role": "user", "content": "Hi"}])"),
              HasSubstr("must have one message of the assistant's"));
  EXPECT_EQ(ErrorOf(R"([{"role": "user", "content": "Hi"}, {"role": "judge", "content": "x"}])"),
            "f: [1].role: must be system, user, assistant or tool, got \"judge\"");
}

TEST(DataFiles, ABrokenFirstLineIsNamed) {
  const std::string good = R"({"instruction": "a", "output": "b"})";
  for (const char* broken : {R"({"instruction": "a", "output": "b")",
                             R"({"instruction": "a", "out)",
                             R"({"instruction": "a" "output": "b"})"}) {
    EXPECT_THAT(ErrorOf(broken + ("\n" + good) + "\n"), HasSubstr("f: line 1: not valid JSON"))
        << broken;
  }
}

// What an error quotes of a file is cut between characters.
TEST(DataFiles, ErrorsQuoteWholeCharacters) {
  for (int blanks = 0; blanks < 4; ++blanks) {
    std::string text(static_cast<std::size_t>(blanks), ' ');
    for (int i = 0; i < 300; ++i) text += "\xE2\x82\xAC";
    for (const std::string& bytes : {R"([{"instruction": 5, "output": ")" + text + "\"}]",
                                     R"([{"instruction": ")" + text,
                                     R"([{"instruction": ")" + text + "\", \x01",
                                     R"([{"instruction": [")" + text + "\"]}]"}) {
      const std::string error = ErrorOf(bytes);
      EXPECT_NE(error, "accepted");
      EXPECT_TRUE(IsUtf8(error)) << error;
    }
  }
}

TEST(DataFiles, LineEndsOfWindowsPartDocumentsAsOthersDo) {
  const std::string text = "First.\nOn.\n\n\nSecond.\n\n\nThird.\n";
  std::string windows;
  for (const char c : text) windows += c == '\n' ? "\r\n"s : std::string(1, c);
  EXPECT_THAT(Read(windows),
              ElementsAre(Document{"First.\nOn."}, Document{"Second."}, Document{"Third."}));
  EXPECT_EQ(Read(windows), Read(text));
}

TEST(DataFiles, ConversationsAreReadInEitherKeyStyleUnderEitherName) {
  const std::vector<Message> expected = {{Role::kUser, "hi"}, {Role::kAssistant, "ho"}};
  for (const char* list : {"messages", "conversations"}) {
    for (const auto& [role, content, user, assistant] :
         {std::tuple{"role", "content", "user", "assistant"},
          std::tuple{"from", "value", "human", "gpt"}}) {
      const auto message = [&](const char* who, const char* text) {
        return nlohmann::json{{role, who}, {content, text}};
      };
      nlohmann::json object;
      object[list] = {message(user, "hi"), message(assistant, "ho")};
      EXPECT_EQ(Messages(object.dump()), expected) << object.dump();
    }
  }
}

TEST(DataFiles, PartsOfTextAreOneTextAndOtherPartsAreRefused) {
  EXPECT_EQ(Messages(R"({"messages": [
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}]},
      {"role": "assistant", "content": [{"type": "text", "text": "c"}]}]})"),
            (std::vector<Message>{{Role::kUser, "ab"}, {Role::kAssistant, "c"}}));
  EXPECT_THAT(ErrorOf(R"({"messages": [{"role": "user", "content": [{"type": "image"}]}]})"),
              HasSubstr("messages[0].content[0].type: only parts of text are supported"));
}

TEST(DataFiles, WhatNobodySaidAndWhatHasNoWeightIsNotLearnt) {
  const auto messages = Messages(R"({"messages": [
      {"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": []},
      {"role": "assistant", "content": "wrong", "weight": 0},
      {"role": "assistant", "content": "b", "weight": 1}]})");
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[1].content, "");
  EXPECT_FALSE(messages[1].trained);
  EXPECT_FALSE(messages[2].trained);
  EXPECT_TRUE(messages[3].trained);
  EXPECT_THAT(ErrorOf(R"({"messages": [{"role": "assistant", "content": "b", "weight": 0}]})"),
              HasSubstr("at least that is to be learnt"));
  EXPECT_THAT(ErrorOf(R"({"messages": [{"role": "assistant", "content": "b", "weight": 2}]})"),
              HasSubstr("messages[0].weight: must be 0 or 1, got 2"));
}

TEST(DataFiles, ASystemMessageBesideTheConversationBeginsIt) {
  EXPECT_EQ(
      Messages(R"({"system": "s", "conversations": [{"from": "human", "value": "hi"},
                         {"from": "gpt", "value": "ho"}]})"),
      (std::vector<Message>{{Role::kSystem, "s"}, {Role::kUser, "hi"}, {Role::kAssistant, "ho"}}));
  EXPECT_THAT(ErrorOf(R"({"system": "s", "messages": [{"role": "system", "content": "t"},
                          {"role": "assistant", "content": "a"}]})"),
              HasSubstr("system: the conversation begins with another system message"));
}

TEST(DataFiles, ToolsAndCallsGoToTheTemplateInTheirOrder) {
  const auto samples = Read(R"({"messages": [{"role": "user", "content": "w?"},
      {"role": "assistant", "tool_calls": [{"z": 1, "a": 2}]},
      {"role": "tool", "content": "sun", "name": "w"}, {"role": "assistant", "content": "Sunny."}],
      "tools": [{"type": "function", "a": 1}]})");
  const auto& conversation = std::get<Conversation>(samples.at(0));
  EXPECT_EQ(conversation.messages[1].extra.dump(), R"({"tool_calls":[{"z":1,"a":2}]})");
  EXPECT_TRUE(conversation.messages[1].trained);
  EXPECT_EQ(conversation.messages[2].role, Role::kTool);
  EXPECT_EQ(conversation.extra.dump(), R"({"tools":[{"type":"function","a":1}]})");
}

TEST(DataFiles, PromptsWithCompletionsAreTextsOrConversations) {
  EXPECT_EQ(Read(R"({"prompt": "The sky is", "completion": " blue."})"),
            (std::vector<Sample>{Completion{"The sky is", " blue."}}));
  const auto messages = Messages(R"({"prompt": [{"role": "user", "content": "a"},
      {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
      "completion": [{"role": "assistant", "content": "d"}]})");
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_FALSE(messages[1].trained);
  EXPECT_TRUE(messages[3].trained);
}

TEST(DataFiles, EverySampleComesBackFromTheLinesThatWereWritten) {
  for (const char* text :
       {R"({"instruction": "a", "output": "b", "system": "s", "history": [["c", "d"]]})",
        R"({"prompt": "a", "completion": " b"})",
        R"({"messages": [{"role": "assistant", "content": "x", "weight": 0}, {"role": "tool",
            "content": "t", "name": "n"}, {"role": "assistant", "content": "y"}], "tools": [1]})"}) {
    EXPECT_EQ(Read(WriteSamples(Read(text))), Read(text));
  }
}

TEST(DataFiles, TheReportSaysWhatWasTakenAndWhichKeysNothingReads) {
  DataReport report;
  const auto samples = ParseSamples("f",
                                    R"([{"instruction": "a", "output": "", "id": 1},
                                        {"instruction": "b", "output": "the user", "tags": []}])",
                                    std::nullopt,
                                    &report);
  ASSERT_TRUE(samples);
  EXPECT_THAT(report.ignored, ElementsAre("id", "tags"));
  const auto tokenizer = Tokenizer::Load(DASHF_SOURCE_DIR "/src/corpus/testdata");
  const Expected<ChatTemplate> none = Fail(ErrorKind::kBadInput, "", "none");
  ASSERT_TRUE(TokenizeSamples(*samples, *tokenizer, none, 10, &report));
  EXPECT_EQ(Described(report), "2 Alpaca records, 2 shortened to 10 tokens, 1 without an answer");
}

}  // namespace
}  // namespace dashf::corpus
