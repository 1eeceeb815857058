#include "gguf/file.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace dashf::gguf {
namespace {

using ::testing::HasSubstr;

std::string Bytes(std::uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFFU);
  return bytes;
}

std::string Text(std::string_view text) {
  return Bytes(text.size(), 8) + std::string(text);
}

std::string Header(std::uint32_t version, std::uint64_t tensors, std::uint64_t pairs) {
  return "GGUF" + Bytes(version, 4) + Bytes(tensors, 8) + Bytes(pairs, 8);
}

// "t", dimensions as the file has them, fastest first.
std::string TensorInfo(std::string_view name,
                       std::vector<std::uint64_t> dimensions,
                       std::uint32_t type,
                       std::uint64_t offset) {
  std::string info = Text(name) + Bytes(dimensions.size(), 4);
  for (const std::uint64_t dimension : dimensions) info += Bytes(dimension, 8);
  return info + Bytes(type, 4) + Bytes(offset, 8);
}

std::string Padded(std::string bytes, std::size_t data) {
  bytes.resize((bytes.size() + 31) / 32 * 32);
  return bytes + std::string(data, '\1');
}

std::string Refusal(std::string bytes) {
  const auto file = File::Parse("f", std::move(bytes));
  return file ? "accepted" : file.error().Text();
}

const Metadata kMetadata = {{"a", std::int64_t{7}},
                            {"b", 0.5},
                            {"c", true},
                            {"d", std::string("text")},
                            {"e", std::vector<std::int64_t>{1, -2}},
                            {"f", std::vector<double>{0.25, -1.0}},
                            {"g", std::vector<bool>{true, false}},
                            {"h", std::vector<std::string>{"x", "", "yz"}},
                            {"i", std::int64_t{-1} << 40}};

TEST(GgufFile, HasWhatWasWritten) {
  const std::string floats(24, '\2'), block(18, '\3');
  const TensorMap tensors = {{"m", {TensorType::kF32, {2, 3}, floats}},
                             {"q", {TensorType::kQ4_0, {1, 32}, block}}};
  const auto file = File::Parse("f", Write(kMetadata, tensors));
  ASSERT_TRUE(file) << file.error().Text();
  EXPECT_EQ(file->metadata(), kMetadata);
  ASSERT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->tensors().at("m").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(file->tensors().at("m").bytes, floats);
  EXPECT_EQ(file->tensors().at("q").type, TensorType::kQ4_0);
  EXPECT_EQ(file->tensors().at("q").bytes, block);
}

TEST(GgufFile, OfVersionTwoIsReadAndOfOthersRefused) {
  EXPECT_EQ(Refusal(Header(2, 0, 0) + std::string(8, '\0')), "accepted");
  EXPECT_THAT(Refusal(Header(1, 0, 0)), HasSubstr("version: must be 2 or 3, got 1"));
  EXPECT_THAT(Refusal(Header(0x03000000, 0, 0)), HasSubstr("big-endian"));
  EXPECT_THAT(Refusal("GGML"), HasSubstr("does not begin with \"GGUF\""));
}

TEST(GgufFile, CannotClaimMoreThanItHas) {
  EXPECT_THAT(Refusal(Header(3, ~0ULL, 0)), HasSubstr("tensor_count"));
  EXPECT_THAT(Refusal(Header(3, 0, ~0ULL)), HasSubstr("metadata_kv_count"));
  const std::string pad(64, '\0');
  EXPECT_THAT(Refusal(Header(3, 0, 1) + Bytes(~0ULL, 8) + pad), HasSubstr("bytes long"));
  EXPECT_THAT(Refusal(Header(3, 0, 1) + Text("k") + Bytes(8, 4) + Bytes(1ULL << 60, 8) + pad),
              HasSubstr("k: is"));
  EXPECT_THAT(
      Refusal(Header(3, 0, 1) + Text("k") + Bytes(9, 4) + Bytes(4, 4) + Bytes(1ULL << 61, 8) + pad),
      HasSubstr("a list of"));
  EXPECT_THAT(Refusal(Header(3, 1, 0) + TensorInfo("t", {1ULL << 40, 1ULL << 40}, 0, 0) + pad),
              HasSubstr("cannot be"));
  EXPECT_THAT(Refusal(Header(3, 1, 0) + TensorInfo("t", {1ULL << 30}, 0, 0) + pad),
              HasSubstr("more than the file has"));
}

TEST(GgufFile, RefusesValuesThatAreNone) {
  const auto pair = [](std::uint32_t type, const std::string& value) {
    return Header(3, 0, 1) + Text("k") + Bytes(type, 4) + value + std::string(32, '\0');
  };
  EXPECT_THAT(Refusal(pair(13, "")), HasSubstr("k: there is no type of value 13"));
  EXPECT_THAT(Refusal(pair(9, Bytes(9, 4) + Bytes(1, 8))), HasSubstr("lists in lists"));
  EXPECT_THAT(Refusal(pair(7, "\2")), HasSubstr("boolean must be 0 or 1, got 2"));
  EXPECT_THAT(Refusal(pair(6, Bytes(0x7F800000, 4))), HasSubstr("must be finite"));
  EXPECT_THAT(Refusal(pair(10, Bytes(~0ULL, 8))), HasSubstr("beyond 2^63"));
  EXPECT_THAT(
      Refusal(Header(3, 0, 2) + Text("k") + Bytes(7, 4) + "\1" + Text("k") + Bytes(7, 4) + "\1"),
      HasSubstr("k: stands twice"));
}

TEST(GgufFile, RefusesTensorsThatOverlapOrLeaveHoles) {
  const std::string one = TensorInfo("a", {8}, 0, 0);
  EXPECT_EQ(Refusal(Padded(Header(3, 2, 0) + one + TensorInfo("b", {8}, 0, 32), 64)), "accepted");
  for (const std::uint64_t offset : {0, 16, 64}) {
    EXPECT_THAT(Refusal(Padded(Header(3, 2, 0) + one + TensorInfo("b", {8}, 0, offset), 128)),
                HasSubstr("tensor b: must begin where the tensor before ends, at 32"));
  }
  EXPECT_THAT(Refusal(Padded(Header(3, 2, 0) + one + TensorInfo("a", {8}, 0, 32), 64)),
              HasSubstr("stands twice"));
  EXPECT_THAT(Refusal(Padded(Header(3, 1, 0) + one, 65)), HasSubstr("the tensors take 32 bytes"));
  EXPECT_THAT(Refusal(Padded(Header(3, 1, 0) + one, 31)), HasSubstr("the tensors take 32 bytes"));
}

TEST(GgufFile, NamesTypesAndShapesThatAreNotRead) {
  const std::string pad(64, '\0');
  EXPECT_THAT(Refusal(Header(3, 1, 0) + TensorInfo("t", {256}, 23, 0) + pad),
              HasSubstr("tensor t: type IQ4_XS is not read"));
  EXPECT_THAT(Refusal(Header(3, 1, 0) + TensorInfo("t", {48}, 2, 0) + pad),
              HasSubstr("rows of 48 are no whole blocks of 32"));
  EXPECT_THAT(Refusal(Header(3, 1, 0) + TensorInfo("t", {1, 1, 1, 1, 1}, 0, 0) + pad),
              HasSubstr("must have 1 to 4 dimensions, got 5"));
  EXPECT_THAT(Refusal(Header(3, 1, 0) + TensorInfo("t", {0}, 0, 0) + pad),
              HasSubstr("dimension 0 cannot be"));
}

TEST(GgufFile, HasAnAlignmentThatIsAPowerOfTwo) {
  const auto aligned = [](std::uint64_t alignment) {
    return Header(3, 0, 1) + Text("general.alignment") + Bytes(4, 4) + Bytes(alignment, 4) +
           std::string(64, '\0');
  };
  EXPECT_THAT(Refusal(aligned(0)), HasSubstr("power of two"));
  EXPECT_THAT(Refusal(aligned(48)), HasSubstr("power of two"));
  EXPECT_THAT(Refusal(aligned(1U << 30)), HasSubstr("power of two"));
}

TEST(GgufFile, CutAnywhereIsRefused) {
  const std::string floats(24, '\2');
  const std::string whole = Write(kMetadata, {{"m", {TensorType::kF32, {2, 3}, floats}}});
  for (std::size_t size = 0; size + 8 < whole.size(); ++size) {
    EXPECT_NE(Refusal(whole.substr(0, size)), "accepted") << size;
  }
}

}  // namespace
}  // namespace dashf::gguf
