#include "tensorfile/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/rng.h"

namespace dashf::tensorfile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string LittleEndian(std::uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

std::string FileOf(const std::string& header, std::size_t data_bytes) {
  return LittleEndian(header.size()) + header + std::string(data_bytes, 'x');
}

std::string ErrorOf(const std::string& bytes) {
  const auto file = SafetensorsFile::Parse("f", bytes);
  if (file) return "accepted";
  EXPECT_EQ(file.error().kind, ErrorKind::kBadInput);
  return file.error().Text();
}

std::string Entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return fmt::format(R"("dtype":"{}","shape":[{}],"data_offsets":[{}])", dtype, shape, offsets);
}

// The header of one tensor "t".
std::string One(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"t\":{" + Entry(dtype, shape, offsets) + "}}";
}

TEST(Safetensors, APointerOfGitLfsIsNamed) {
  EXPECT_THAT(ErrorOf("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
              HasSubstr("f: is a Git LFS pointer, not the file it stands for"));
}

TEST(Safetensors, ReadsWhatTheFormatsDescriptionShows) {
  const auto file = SafetensorsFile::Parse(
      "f",
      FileOf(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[1,2,2],)"
             R"("data_offsets":[4,12]},"a":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}  )",
             12));
  ASSERT_TRUE(file) << file.error().Text();
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(file->tensors().at("b").dtype, DType::kF16);
  EXPECT_THAT(file->tensors().at("b").shape, ElementsAre(1, 2, 2));
  EXPECT_EQ(file->tensors().at("b").bytes, "xxxxxxxx");
  EXPECT_THAT(file->tensors().at("a").shape, IsEmpty());
  EXPECT_EQ(file->tensors().at("a").bytes.size(), 4u);
  EXPECT_EQ(file->metadata().at("format"), "pt");
}

TEST(Safetensors, AcceptsTensorsOfNoBytesAnywhere) {
  const auto file = SafetensorsFile::Parse(
      "f",
      FileOf("{\"a\":{" + Entry("F32", "0,9223372036854775807,9", "0,0") + "},\"b\":{" +
                 Entry("U8", "3", "0,3") + "},\"c\":{" + Entry("F64", "4,0", "3,3") + "}}",
             3));
  ASSERT_TRUE(file) << file.error().Text();
  EXPECT_THAT(file->tensors().at("a").bytes, IsEmpty());
  EXPECT_TRUE(SafetensorsFile::Parse("f", FileOf("{}", 0)));
}

TEST(Safetensors, RefusesAFileThatEndsBeforeItsHeader) {
  EXPECT_EQ(ErrorOf(""), "f: must begin with 8 bytes of header length, is 0 bytes");
  EXPECT_THAT(ErrorOf("1234567"), HasSubstr("is 7 bytes"));
  EXPECT_EQ(ErrorOf(LittleEndian(3) + "{}"), "f: header length must be at most 2, got 3");
}

TEST(Safetensors, RefusesHeaderLengthsThatWouldOverflow) {
  for (const std::uint64_t length :
       {std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{7}}) {
    EXPECT_EQ(ErrorOf(LittleEndian(length) + "{}"),
              fmt::format("f: header length must be at most 2, got {}", length));
  }
}

TEST(Safetensors, RefusesHeadersThatAreNotOneStrictJsonObject) {
  EXPECT_THAT(ErrorOf(FileOf("", 0)), HasSubstr("header must begin with '{'"));
  EXPECT_THAT(ErrorOf(FileOf("[]", 0)), HasSubstr("header must begin with '{'"));
  EXPECT_THAT(ErrorOf(FileOf("{} {}", 0)), HasSubstr("not valid JSON"));
  const std::string t = "\"t\":{" + Entry("U8", "1", "0,1") + "}";
  EXPECT_THAT(ErrorOf(FileOf("{" + t + "," + t + "}", 1)), HasSubstr("duplicate key \"t\""));
  EXPECT_THAT(ErrorOf(FileOf("{\"t\":5}", 0)), HasSubstr("f: t: must be an object"));
  EXPECT_THAT(ErrorOf(FileOf("{\"__metadata__\":{\"a\":1}}", 0)),
              HasSubstr("__metadata__.a: must be a string"));
}

TEST(Safetensors, NamesTheElementTypeThatItDoesNotKnow) {
  EXPECT_EQ(ErrorOf(FileOf(One("F8_E4M3", "1", "0,1"), 1)),
            "f: t.dtype: must be one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL, got "
            "\"F8_E4M3\"");
}

TEST(Safetensors, RefusesEntriesWithMissingUnknownOrMistypedKeys) {
  EXPECT_THAT(ErrorOf(FileOf(R"({"t":{"shape":[1],"data_offsets":[0,1]}})", 1)),
              HasSubstr("missing key \"dtype\""));
  EXPECT_THAT(ErrorOf(FileOf(R"({"t":{"dtype":"U8","data_offsets":[0,1]}})", 1)),
              HasSubstr("missing key \"shape\""));
  EXPECT_THAT(ErrorOf(FileOf(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"z":0}})", 1)),
              HasSubstr("t.z: unknown key"));
  EXPECT_THAT(ErrorOf(FileOf(One("U8", "1.0", "0,1"), 1)),
              HasSubstr("t.shape[0]: must be an integer"));
  EXPECT_THAT(ErrorOf(FileOf(One("U8", "-1", "0,1"), 1)), HasSubstr("t.shape[0]"));
}

TEST(Safetensors, RefusesOffsetsThatDoNotFitTheShape) {
  EXPECT_EQ(ErrorOf(FileOf(One("F32", "2,3", "0,20"), 20)),
            "f: t.data_offsets: must hold the 24 bytes of F32 [2, 3], got [0,20]");
  EXPECT_THAT(ErrorOf(FileOf(One("U8", "1", "1,0"), 1)), HasSubstr("begin <= end"));
  EXPECT_THAT(ErrorOf(FileOf(One("U8", "1", "0,1,2"), 2)), HasSubstr("must be [begin, end]"));
  EXPECT_THAT(ErrorOf(FileOf(One("U8", "1", "-1,0"), 1)), HasSubstr("data_offsets[0]"));
}

// 2^62 elements of 4 bytes are 2^64 bytes, which is 0 in 64 bits: a product unchecked would pass.
TEST(Safetensors, RefusesShapesWhoseProductOverflows) {
  EXPECT_THAT(ErrorOf(FileOf(One("F32", "4611686018427387904", "0,0"), 0)), HasSubstr("over 2^63"));
  EXPECT_THAT(ErrorOf(FileOf(One("U8", "4294967296,4294967296", "0,0"), 0)),
              HasSubstr("over 2^63"));
  EXPECT_THAT(ErrorOf(FileOf(One("U8", "18446744073709551616", "0,0"), 0)),
              HasSubstr("f: t.shape"));
}

TEST(Safetensors, RefusesHolesOverlapsAndAFileThatIsTooLongOrTooShort) {
  const auto two = [](const std::string& a, const std::string& b) {
    return "{\"a\":{" + Entry("U8", "4", a) + "},\"b\":{" + Entry("U8", "4", b) + "}}";
  };
  EXPECT_EQ(ErrorOf(FileOf(two("0,4", "4,8"), 8)), "accepted");
  EXPECT_EQ(ErrorOf(FileOf(two("0,4", "5,9"), 9)),
            "f: b.data_offsets: must begin where the tensor before ends, at 4, got 5");
  EXPECT_THAT(ErrorOf(FileOf(two("0,4", "3,7"), 7)), HasSubstr("b.data_offsets: must begin"));
  EXPECT_THAT(ErrorOf(FileOf(two("0,4", "0,4"), 4)), HasSubstr("must begin"));
  EXPECT_THAT(ErrorOf(FileOf(two("1,5", "5,9"), 9)), HasSubstr("at 0, got 1"));
  EXPECT_EQ(ErrorOf(FileOf(two("0,4", "4,8"), 9)),
            "f: the tensors must fill the file, 9 bytes after the header, got 8");
  EXPECT_THAT(ErrorOf(FileOf(two("0,4", "4,8"), 7)), HasSubstr("b.data_offsets[1]"));
}

struct Tensors {
  std::vector<std::string> bytes;  // Owns what the views point to.
  TensorMap map;
};

Tensors RandomTensors(Rng rng) {
  constexpr DType kAll[] = {DType::kF64,
                            DType::kF32,
                            DType::kF16,
                            DType::kBF16,
                            DType::kI64,
                            DType::kI32,
                            DType::kI16,
                            DType::kI8,
                            DType::kU8,
                            DType::kBool};
  Tensors tensors;
  const std::size_t count = rng.Below(6);
  tensors.bytes.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    TensorView view{.dtype = kAll[rng.Below(10)], .shape = {}, .bytes = {}};
    std::int64_t size = BytesPerElement(view.dtype);
    for (std::uint64_t rank = rng.Below(4); rank > 0; --rank) {
      view.shape.push_back(static_cast<std::int64_t>(rng.Below(5)));
      size *= view.shape.back();
    }
    std::string& bytes = tensors.bytes.emplace_back();
    for (std::int64_t b = 0; b < size; ++b) bytes += static_cast<char>(rng.Next());
    view.bytes = bytes;
    tensors.map.emplace(fmt::format("layer.{}.\"weight\"\xC3\xA9", rng.Below(1000)), view);
  }
  return tensors;
}

TEST(Safetensors, GivesBackEveryTensorThatWasWrittenAlignedToItsElement) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Tensors tensors = RandomTensors(Rng(seed));
    const Metadata metadata = {{"format", "pt"}, {"\n", ""}};
    const std::string bytes = WriteSafetensors(tensors.map, metadata);
    const auto file = SafetensorsFile::Parse("f", bytes);
    ASSERT_TRUE(file) << "seed " << seed << ": " << file.error().Text();
    EXPECT_EQ(file->metadata(), metadata);
    ASSERT_EQ(file->tensors().size(), tensors.map.size());
    std::size_t data_bytes = 0;
    for (const auto& [name, view] : tensors.map) data_bytes += view.bytes.size();
    EXPECT_EQ((bytes.size() - data_bytes) % 8, 0u) << "seed " << seed;
    for (const auto& [name, view] : tensors.map) {
      const TensorView& read = file->tensors().at(name);
      EXPECT_EQ(read.dtype, view.dtype);
      EXPECT_EQ(read.shape, view.shape);
      EXPECT_EQ(read.bytes, view.bytes);
    }
    EXPECT_EQ(WriteSafetensors(file->tensors(), file->metadata()), bytes) << "seed " << seed;
  }
}

// An accepted file must keep every rule, so that whoever reads its tensors stays inside the bytes;
// the sanitizer build turns a step outside into a failure.
TEST(Safetensors, SurvivesFlippedBytesAndCutFiles) {
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    Rng rng = Rng(seed).Stream("flips");
    std::string bytes = WriteSafetensors(RandomTensors(Rng(seed % 40)).map);
    for (std::uint64_t flips = 1 + rng.Below(3); flips > 0; --flips) {
      bytes[rng.Below(std::min<std::size_t>(bytes.size(), 200))] ^=
          static_cast<char>(1 + rng.Below(255));
    }
    if (rng.Below(4) == 0) bytes.resize(rng.Below(bytes.size()));
    const std::size_t size = bytes.size();
    const auto file = SafetensorsFile::Parse("f", std::move(bytes));
    if (!file) {
      EXPECT_EQ(file.error().kind, ErrorKind::kBadInput) << "seed " << seed;
      continue;
    }
    std::size_t total = 0;
    unsigned checksum = 0;
    for (const auto& [name, view] : file->tensors()) {
      total += view.bytes.size();
      for (const char c : view.bytes) checksum += static_cast<unsigned char>(c);
    }
    EXPECT_LE(total + 8, size) << "seed " << seed << ", checksum " << checksum;
  }
}

TEST(Safetensors, MapsAFileAndKeepsItAliveForTheViews) {
  const auto path = std::filesystem::path(testing::TempDir()) / "dashf_safetensors_test.bin";
  const std::string bytes = "abcdefgh";
  const TensorMap tensors = {{"t", {.dtype = DType::kF32, .shape = {2}, .bytes = bytes}}};
  ASSERT_TRUE(WriteFileAtomically(path, WriteSafetensors(tensors)));
  std::optional<SafetensorsFile> copy;
  {
    const auto file = SafetensorsFile::Open(path.string());
    ASSERT_TRUE(file) << file.error().Text();
    copy = *file;
  }
  std::filesystem::remove(path);
  EXPECT_EQ(copy->tensors().at("t").bytes, bytes);
}

TEST(Safetensors, TellsAMissingFileAFolderAndAnEmptyFileApart) {
  const std::string folder = testing::TempDir();
  EXPECT_THAT(SafetensorsFile::Open(folder + "/none").error().Text(), HasSubstr("cannot open"));
  EXPECT_EQ(SafetensorsFile::Open(folder).error().kind, ErrorKind::kIo);
  const auto path = std::filesystem::path(folder) / "dashf_empty.safetensors";
  ASSERT_TRUE(WriteFileAtomically(path, ""));
  EXPECT_THAT(SafetensorsFile::Open(path.string()).error().Text(), HasSubstr("is 0 bytes"));
  std::filesystem::remove(path);
}

// Written by another implementation.
TEST(Safetensors, ReadsPublishedWeights) {
  const char* set = std::getenv("DASHF_SHARED_DATA");
  const std::string shared = set != nullptr ? set : DASHF_SOURCE_DIR "/../shared/data";
  const std::string path = shared + "/stories260K/model.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file) << file.error().Text();
  EXPECT_THAT(file->tensors().at("model.embed_tokens.weight").shape, ElementsAre(512, 64));
  EXPECT_EQ(file->tensors().at("model.embed_tokens.weight").dtype, DType::kF32);
  EXPECT_THAT(file->tensors().at("model.layers.4.self_attn.k_proj.weight").shape,
              ElementsAre(32, 64));
}

}  // namespace
}  // namespace dashf::tensorfile
