#include "base/json_cells.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace dashf {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kEverything = std::numeric_limits<std::size_t>::max();

tl::expected<JsonCells, std::string> ParseInBlocks(std::string_view text,
                                                   std::size_t block_bytes,
                                                   std::uint64_t memory_bytes_max = kNoLimit) {
  const auto next = [&] {
    const std::string_view block = text.substr(0, block_bytes);
    text.remove_prefix(block.size());
    return block;
  };
  return JsonCells::Parse(next, memory_bytes_max);
}

json RandomValue(std::mt19937_64& random, int depth) {
  switch (random() % (depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return random() % 2 == 0;
    case 2:  // Any number of bits, and the neighbours of powers of two.
      return (random() >> random() % 64) + random() % 2;
    case 3:
      return -static_cast<std::int64_t>((random() >> 1) >> random() % 63);
    case 4:
      return std::ldexp(static_cast<double>(random()) + 0.5,
                        static_cast<int>(random() % 1900) - 1000);
    case 5:
      return std::string(random() % 20, static_cast<char>('a' + random() % 26)) + "\u20ac\n\"";
    case 6: {
      json array = json::array();
      for (std::size_t i = random() % 5; i > 0; --i)
        array.push_back(RandomValue(random, depth - 1));
      return array;
    }
    default: {
      json object = json::object();
      for (std::size_t i = random() % 30; i > 0; --i) {
        object[std::to_string(random() % 1000)] = RandomValue(random, depth - 1);
      }
      return object;
    }
  }
}

TEST(JsonCells, HoldWhatAnotherReaderReadsWhereverTheTextIsCut) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const json value = RandomValue(random, 4);
    const auto cells = ParseInBlocks(value.dump(random() % 3 ? -1 : 2), 1 + random() % 100);
    ASSERT_TRUE(cells) << cells.error();
    EXPECT_EQ(cells->Copy<json>(0, kEverything), value);
  }
}

TEST(JsonCells, TakeEightBytesANumberAndNoMoreThanTheyMay) {
  std::string text = "[0.5";
  for (int i = 1; i < 1000; ++i) text += ",0.5";
  text += "]";
  EXPECT_TRUE(ParseInBlocks(text, 100, 8 * 1001));
  const auto refused = ParseInBlocks(text, 100, 8 * 1001 - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), "must take at most 8007 bytes of memory once read, takes more");
}

TEST(JsonCells, EndWithoutReadingOnOnceMemoryIsUsedUp) {
  std::size_t blocks = 0;
  const auto endless = [&] { return std::string_view(blocks++ == 0 ? "[" : "0,0,0,0,0,0,0,0,"); };
  EXPECT_THAT(JsonCells::Parse(endless, 8000).error(), HasSubstr("at most 8000 bytes of memory"));
  EXPECT_LE(blocks, 1000U / 8 + 2);
}

TEST(JsonCells, RefuseEndlessBlankSpace) {
  const std::string block(1 << 20, ' ');
  EXPECT_THAT(JsonCells::Parse([&] { return std::string_view(block); }, kNoLimit).error(),
              HasSubstr("blank space longer than 16777216 bytes"));
}

TEST(JsonCells, PointToTheLineAndColumnOfABrokenText) {
  EXPECT_THAT(ParseInBlocks("{\"a\": 1,\n \"b\": x}", 4).error(),
              HasSubstr("not valid JSON: parse error at line 2, column 7"));
  EXPECT_THAT(ParseInBlocks("{\"a\": [1, 2", 5).error(), HasSubstr("not valid JSON"));
  EXPECT_THAT(ParseInBlocks("1 2", 1).error(), HasSubstr("not valid JSON"));
  EXPECT_THAT(ParseInBlocks("", 1).error(), HasSubstr("not valid JSON"));
}

TEST(JsonCells, FindADuplicateAmongManyKeysInLittleTime) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += fmt::format("\"{}\":0,", i);
  EXPECT_TRUE(ParseInBlocks(text + "\"x\":0}", 1 << 16));
  EXPECT_EQ(ParseInBlocks(text + "\"77\":0}", 1 << 16).error(), "duplicate key \"77\"");
}

}  // namespace
}  // namespace dashf
