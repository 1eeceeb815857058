#include "runtime/transfer.h"

#include <gmock/gmock.h>

#include "base/digest.h"
#include "base/rng.h"

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

std::string RandomBytes(std::size_t size, std::uint64_t seed) {
  Rng rng(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(rng.Below(256));
  return bytes;
}

std::string FailureOf(Assembly& assembly, const ChunkView& chunk) {
  const auto added = assembly.Add(chunk);
  return added ? "" : added.error().Text();
}

// Sizes around the chunk limit, and none at all.
TEST(Transfer, ArtefactsOfAnySizeArriveWhole) {
  const std::vector<std::string> sent = {RandomBytes(kChunkBytesMax, 1),
                                         "",
                                         RandomBytes(2 * kChunkBytesMax + 1, 2),
                                         RandomBytes(1, 3)};
  ChunkSource source({sent.begin(), sent.end()});
  std::vector<Announced> announced;
  for (const std::string& artefact : sent) announced.push_back(Announce(artefact));
  auto assembly = Assembly::Begin(announced, sent.size());
  ASSERT_TRUE(assembly);
  int chunks = 0;
  for (ChunkView chunk; source.Next(&chunk); ++chunks) ASSERT_TRUE(assembly->Add(chunk));
  EXPECT_EQ(chunks, 1 + 0 + 3 + 1);
  const auto received = std::move(*assembly).Finish();
  ASSERT_TRUE(received);
  EXPECT_EQ(*received, sent);
}

TEST(Transfer, AHugeClaimIsRefusedBeforeAnyByteIsStored) {
  const auto begun = Assembly::Begin({{std::uint64_t{1} << 40, ""}}, 1);
  ASSERT_FALSE(begun);
  EXPECT_THAT(begun.error().message, HasSubstr("at most"));
  EXPECT_FALSE(Assembly::Begin({{1, ""}}, 2));
}

TEST(Transfer, GapsOverrunsStrangersAndOversizedChunksAreRefusedByName) {
  const std::string bytes = "abcdef";
  auto assembly = Assembly::Begin({Announce(bytes)}, 1).value();
  const auto chunk = [](std::uint32_t artefact, std::uint64_t offset, std::string_view data) {
    return ChunkView{artefact, offset, data, Crc32c(data)};
  };
  EXPECT_THAT(FailureOf(assembly, chunk(0, 1, "b")), HasSubstr("expected offset 0"));
  EXPECT_THAT(FailureOf(assembly, chunk(1, 0, "a")), HasSubstr("no such artefact"));
  EXPECT_THAT(FailureOf(assembly, chunk(0, 0, "")), HasSubstr("1 to"));
  EXPECT_THAT(FailureOf(assembly, chunk(0, 0, "abcdefg")), HasSubstr("runs past"));
  const std::string large(kChunkBytesMax + 1, 'x');
  EXPECT_THAT(FailureOf(assembly, chunk(0, 0, large)), HasSubstr("1 to"));
  EXPECT_THAT(FailureOf(assembly, {0, 0, "abc", Crc32c("abd")}), HasSubstr("CRC-32C"));
  EXPECT_EQ(FailureOf(assembly, chunk(0, 0, bytes)), "");
}

TEST(Transfer, AShortOrAlteredArtefactIsRefusedAtTheEnd) {
  auto shortened = Assembly::Begin({Announce("abc")}, 1).value();
  ASSERT_TRUE(shortened.Add({0, 0, "ab", Crc32c("ab")}));
  EXPECT_THAT(std::move(shortened).Finish().error().message, HasSubstr("ended after 2 of 3"));

  auto altered = Assembly::Begin({Announce("abc")}, 1).value();
  ASSERT_TRUE(altered.Add({0, 0, "abd", Crc32c("abd")}));
  EXPECT_THAT(std::move(altered).Finish().error().message, HasSubstr("SHA-256"));
}

}  // namespace
}  // namespace dashf::runtime
