#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace dashf {
namespace {

using ::testing::HasSubstr;

std::string FirstError(std::string_view text, const std::function<void(JsonReader&)>& read) {
  auto document = JsonDocument::Parse("f.json", text);
  if (!document) return document.error().Text();
  JsonReader root = document->Root();
  read(root);
  return document->error() ? document->error()->Text() : "";
}

TEST(StrictJson, ReadsWhatIsAskedFor) {
  EXPECT_EQ(FirstError(R"({"a": 1.5, "b": [1, 2]})",
                       [](JsonReader& root) {
                         EXPECT_EQ(root.Number("a"), 1.5);
                         EXPECT_EQ(root.Numbers("b").size(), 2u);
                         root.RejectUnknownKeys();
                       }),
            "");
}

TEST(StrictJson, NamesFilePathRuleAndValueOfANumberOutOfRange) {
  EXPECT_EQ(FirstError(R"({"users": [{"p": 1}, {"p": -3}]})",
                       [](JsonReader& root) {
                         root.ForEach("users", [](JsonReader u) { u.Number("p", kPositive); });
                       }),
            "f.json: users[1].p: must be a number > 0, got -3");
}

TEST(StrictJson, RefusesDuplicateKeys) {
  EXPECT_THAT(FirstError(R"({"a": 1, "b": {"a": 1, "a": 2}})", [](JsonReader&) {}),
              HasSubstr("duplicate key \"a\""));
}

TEST(StrictJson, RefusesUnknownKeys) {
  EXPECT_THAT(FirstError(R"({"a": 1, "z": 2})",
                         [](JsonReader& root) {
                           root.Number("a");
                           root.RejectUnknownKeys();
                         }),
              HasSubstr("z: unknown key, got 2"));
}

TEST(StrictJson, OfAMissingKeyNamesOneThatIsLikeIt) {
  const auto error = [](std::string_view text) {
    return FirstError(text, [](JsonReader& root) {
      root.Number("lease_s");
      root.Number("rounds_max");
    });
  };
  EXPECT_EQ(error(R"({"lease_s": 1, "rounds_mx": 2})"),
            "f.json: missing key \"rounds_max\"; there is \"rounds_mx\"");
  EXPECT_EQ(error(R"({"rounds_max": 1, "users": 2})"), "f.json: missing key \"lease_s\"");
}

TEST(StrictJson, RefusesNaNInfinityAndOverflow) {
  EXPECT_THAT(FirstError(R"({"a": NaN})", [](JsonReader&) {}), HasSubstr("not valid JSON"));
  EXPECT_THAT(FirstError(R"({"a": 1e999})", [](JsonReader& root) { root.Number("a"); }),
              HasSubstr("f.json"));
}

TEST(StrictJson, RefusesDeepNestingInsteadOfOverflowingTheStack) {
  EXPECT_THAT(FirstError(std::string(100000, '['), [](JsonReader&) {}), HasSubstr("f.json"));
}

TEST(StrictJson, IntegersDoNotWrapAround) {
  EXPECT_THAT(FirstError(R"({"a": 18446744073709551615})",
                         [](JsonReader& root) { root.Integer("a", -5, 5); }),
              HasSubstr("must be an integer in [-5, 5]"));
}

TEST(StrictJson, AValueThatMayBeMissingMayBeAbsentOrNull) {
  EXPECT_EQ(FirstError(R"({"a": null, "b": 2})",
                       [](JsonReader& root) {
                         EXPECT_FALSE(root.HasValue("a"));
                         EXPECT_TRUE(root.HasValue("b"));
                         EXPECT_FALSE(root.HasValue("c"));
                         EXPECT_EQ(root.NumberIfAny("a"), std::nullopt);
                         EXPECT_EQ(root.StringIfAny("a"), std::nullopt);
                         EXPECT_EQ(root.IntegerIfAny("c", 0, 9), std::nullopt);
                         EXPECT_EQ(root.NumberIfAny("b"), 2.0);
                         EXPECT_EQ(root.IntegerIfAny("b", 0, 9), 2);
                         root.RejectUnknownKeys();
                       }),
            "");
  EXPECT_THAT(FirstError(R"({"b": 2})", [](JsonReader& root) { root.IntegerIfAny("b", 3, 9); }),
              HasSubstr("must be an integer in [3, 9], got 2"));
}

TEST(StrictJson, TakesTimeLinearInTheLengthOfAnArrayOfObjects) {
  std::string text = "[";
  for (int i = 0; i < 300'000; ++i) text += "{\"a\":{}},";
  text += "{}]";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(JsonDocument::Parse("f.json", text));
  // About 0.2 s in a release build; quadratic time would be minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(DumpRows, GivesALinePerMemberAndPerArrayElementAndKeepsEveryBit) {
  nlohmann::ordered_json document;
  document["name"] = "x";
  document["rows"] = {{{"a", 0.1}}, {{"a", 1e-320}}};
  document["columns"] = {{"u", {1, 2}}, {"v", {3, 4}}};
  const std::string text = DumpRows(document);
  EXPECT_EQ(text,
            "{\n  \"name\": \"x\",\n"
            "  \"rows\": [\n    {\"a\":0.1},\n    {\"a\":1e-320}\n  ],\n"
            "  \"columns\": {\n    \"u\": [1,2],\n    \"v\": [3,4]\n  }\n}\n");
  EXPECT_EQ(nlohmann::ordered_json::parse(text), document);
}

}  // namespace
}  // namespace dashf
