#include "runtime/transfer.h"

#include <gmock/gmock.h>

#include "base/digest.h"

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

std::string FailureOf(const Expected<void>& outcome) {
  return outcome ? "" : outcome.error().Text();
}

// From every byte of three artefacts, one of them empty, and in chunks of 1 to 7 bytes.
TEST(Transfer, ChunksFromAnyByteOnAreTheRestOfTheArtefactsInOrder) {
  const std::vector<std::string> artefacts = {"abcdefgh", "", "ijklm"};
  const std::string all = artefacts[0] + artefacts[2];
  for (std::uint64_t begin = 0; begin <= all.size(); ++begin) {
    for (std::uint64_t size = 1; size <= 7; ++size) {
      ChunkSource source({artefacts.begin(), artefacts.end()}, begin);
      std::string sent;
      for (ChunkView chunk; source.Next(&chunk, size);) {
        EXPECT_EQ(artefacts.at(chunk.artefact).substr(chunk.offset, chunk.data.size()), chunk.data);
        EXPECT_EQ(chunk.crc32c, Crc32c(chunk.data));
        EXPECT_LE(chunk.data.size(), size);
        sent += chunk.data;
      }
      EXPECT_EQ(sent, all.substr(begin)) << begin << " " << size;
    }
  }
}

TEST(Transfer, ChunksAreSmallOnASlowLinkAndLargeOnAFastOneWithinLimits) {
  ChunkSize size;
  for (int i = 0; i < 20; ++i) size.Took(1e-4);
  EXPECT_EQ(size.bytes(), kChunkBytesMax);
  for (int i = 0; i < 20; ++i) size.Took(10.0);
  EXPECT_EQ(size.bytes(), ChunkSize::kMin);
  // At 100 kbit/s the chunk of that size takes a third of a second: no change any more.
  const double elapsed_s = static_cast<double>(size.bytes()) * 8 / 100e3;
  size.Took(elapsed_s);
  EXPECT_LT(elapsed_s, 1.0);
  EXPECT_EQ(size.bytes(), ChunkSize::kMin);
}

TEST(Transfer, AnnouncementsAreCheckedBeforeAnyByteComes) {
  const Announced sound = Announce("abc");
  EXPECT_TRUE(CheckAnnounced({sound, sound}, 2));
  EXPECT_THAT(FailureOf(CheckAnnounced({sound}, 2)), HasSubstr("must announce 2 artefacts, got 1"));
  EXPECT_THAT(FailureOf(CheckAnnounced({{std::uint64_t{1} << 40, sound.sha256}}, 1)),
              HasSubstr("at most 268435456 bytes, announced are 1099511627776"));
  for (const std::string& digest : {std::string(), sound.sha256 + "0", std::string(64, 'G')}) {
    EXPECT_THAT(FailureOf(CheckAnnounced({{3, digest}}, 1)), HasSubstr("64 lower-case"));
  }
}

}  // namespace
}  // namespace dashf::runtime
