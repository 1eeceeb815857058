#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace dashf
