#include "runtime/artefact_file.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "base/file.h"

namespace dashf::runtime {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

ChunkView ChunkOf(std::uint32_t artefact, std::uint64_t offset, std::string_view data) {
  return {artefact, offset, data, Crc32c(data)};
}

std::string FailureOf(IncomingFile& file, const ChunkView& chunk) {
  const auto added = file.Add(chunk);
  return added ? "" : added.error().Text();
}

class ArtefactFiles : public testing::Test {
 protected:
  ArtefactFiles() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ArtefactFiles() override { fs::remove_all(folder_); }

  fs::path PartPath() const { return folder_ / "upload.part"; }

  const std::vector<std::string> artefacts_ = {"the data set", "", "adapters of layers 1..k"};
  const std::vector<Announced> announced_ = {
      Announce(artefacts_[0]), Announce(artefacts_[1]), Announce(artefacts_[2])};
  const fs::path folder_ = fs::path(testing::TempDir()) / "artefact_files";
  const fs::path path_ = folder_ / "upload";
};

// A process that ends after any byte, and another that goes on: at every byte once, with the file
// cut as a kill in mid-write may leave it.
TEST_F(ArtefactFiles, WhatHasComeIsGoneOnWithFromEveryByte) {
  const std::uint64_t total = TotalBytes(announced_);
  for (std::uint64_t cut = 0; cut <= total; ++cut) {
    fs::remove(path_);
    std::uint64_t sent = 0;
    {
      auto first = IncomingFile::Open(path_, announced_).value();
      ChunkSource source({artefacts_.begin(), artefacts_.end()});
      for (ChunkView chunk; sent < cut && source.Next(&chunk, 5); sent += chunk.data.size()) {
        ASSERT_TRUE(first.Add(chunk));
      }
      fs::resize_file(PartPath(), fs::file_size(PartPath()) - (sent - cut));
    }
    auto second = IncomingFile::Open(path_, announced_).value();
    ASSERT_EQ(second.bytes(), cut);
    ChunkSource rest({artefacts_.begin(), artefacts_.end()}, second.bytes());
    for (ChunkView chunk; rest.Next(&chunk, 4);) ASSERT_TRUE(second.Add(chunk));
    EXPECT_FALSE(fs::exists(path_));
    ASSERT_TRUE(second.Finish());
    const auto whole = ArtefactFile::Open(path_);
    ASSERT_TRUE(whole) << whole.error().Text();
    for (std::size_t i = 0; i < artefacts_.size(); ++i) EXPECT_EQ(*whole->Read(i), artefacts_[i]);
    EXPECT_FALSE(fs::exists(PartPath()));
  }
}

TEST_F(ArtefactFiles, WhatHasComeOfOtherArtefactsIsDropped) {
  ASSERT_TRUE(IncomingFile::Open(path_, announced_)->Add(ChunkOf(0, 0, "the")));
  EXPECT_EQ(IncomingFile::Open(path_, {Announce("other")})->bytes(), 0U);
  EXPECT_EQ(IncomingFile::Reopen(path_)->announced(), std::vector<Announced>{Announce("other")});
}

TEST_F(ArtefactFiles, GapsRepetitionsOverrunsAndStrangersAreRefusedByNameAndChangeNothing) {
  auto file = IncomingFile::Open(path_, announced_).value();
  ASSERT_TRUE(file.Add(ChunkOf(0, 0, "the ")));
  EXPECT_THAT(FailureOf(file, ChunkOf(0, 5, "ata")), HasSubstr("expected artefact 0, offset 4"));
  EXPECT_THAT(FailureOf(file, ChunkOf(0, 0, "the ")), HasSubstr("expected artefact 0, offset 4"));
  EXPECT_THAT(FailureOf(file, ChunkOf(2, 0, "ad")), HasSubstr("expected artefact 0, offset 4"));
  EXPECT_THAT(FailureOf(file, ChunkOf(3, 0, "x")), HasSubstr("no such artefact"));
  EXPECT_THAT(FailureOf(file, ChunkOf(0, 4, "")), HasSubstr("1 to"));
  EXPECT_THAT(FailureOf(file, ChunkOf(0, 4, "data set and more")), HasSubstr("runs past"));
  EXPECT_THAT(FailureOf(file, ChunkOf(0, 4, std::string(kChunkBytesMax + 1, 'x'))),
              HasSubstr("1 to"));
  EXPECT_THAT(FailureOf(file, {0, 4, "data", Crc32c("date")}), HasSubstr("CRC-32C"));
  EXPECT_THAT(file.Finish().error().Text(), HasSubstr("ended after 4 of 35 bytes"));
  EXPECT_EQ(file.bytes(), 4U);
  EXPECT_EQ(FailureOf(file, ChunkOf(0, 4, "data set")), "");
}

// A chunk whose checksum is right for bytes that are not the announced ones.
TEST_F(ArtefactFiles, AWrongDigestDropsWhatHasComeAndTheRightBytesMayFollow) {
  auto file = IncomingFile::Open(path_, {Announce("abc"), Announce("def")}).value();
  EXPECT_THAT(FailureOf(file, ChunkOf(0, 0, "abd")), HasSubstr("SHA-256"));
  EXPECT_EQ(file.bytes(), 0U);
  EXPECT_EQ(FailureOf(file, ChunkOf(0, 0, "abc")), "");
  EXPECT_EQ(FailureOf(file, ChunkOf(1, 0, "def")), "");
  EXPECT_TRUE(file.Finish());
}

TEST_F(ArtefactFiles, BytesThatTheDiskHasAlteredAreNotGoneOnWithNorRead) {
  ASSERT_TRUE(IncomingFile::Open(path_, announced_)->Add(ChunkOf(0, 0, artefacts_[0])));
  std::fstream(PartPath(), std::ios::in | std::ios::out).seekp(-3, std::ios::end) << "S";
  EXPECT_FALSE(IncomingFile::Reopen(path_));
  EXPECT_EQ(IncomingFile::Open(path_, announced_)->bytes(), 0U);

  ASSERT_TRUE(ArtefactFile::Write(path_, "adapters", {announced_, {1.5, 0.5, 7.5}}));
  EXPECT_EQ(ArtefactFile::Open(path_)->origin(), (Origin{announced_, {1.5, 0.5, 7.5}}));
  std::fstream(path_, std::ios::in | std::ios::out).seekp(-3, std::ios::end) << "S";
  EXPECT_THAT(ArtefactFile::Open(path_)->Read(0).error().Text(), HasSubstr("damaged"));
  fs::resize_file(path_, fs::file_size(path_) - 1);
  EXPECT_THAT(ArtefactFile::Open(path_).error().Text(), HasSubstr("bytes, has"));
  for (const char* foreign : {"", "\n", "no line", "{}\n", "[1]\n", "{\"schema\":1}\n"}) {
    ASSERT_TRUE(WriteFileAtomically(path_, foreign));
    EXPECT_EQ(ArtefactFile::Open(path_).error().kind, ErrorKind::kBadInput) << foreign;
  }
}

// The largest file that this process may write stands in for a full disk.
TEST_F(ArtefactFiles, AFullDiskIsNamedAndWhatWasThereIsGoneOnWithOnceThereIsRoom) {
  const std::string artefact(100'000, 'x');
  auto file = IncomingFile::Open(path_, {Announce(artefact)}).value();
  ASSERT_TRUE(file.Add(ChunkOf(0, 0, artefact.substr(0, 50'000))));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{60'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto full = file.Add(ChunkOf(0, 50'000, artefact.substr(50'000)));
  const auto not_written = ArtefactFile::Write(folder_ / "result", artefact, {});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::kIo);
  EXPECT_THAT(full.error().Text(),
              AllOf(HasSubstr("upload.part: cannot write"), HasSubstr("large")));
  EXPECT_EQ(not_written.error().kind, ErrorKind::kIo);
  EXPECT_FALSE(fs::exists(folder_ / "result"));
  EXPECT_EQ(file.bytes(), 50'000U);
  ASSERT_TRUE(file.Add(ChunkOf(0, 50'000, artefact.substr(50'000))));
  ASSERT_TRUE(file.Finish());
  EXPECT_EQ(*ArtefactFile::Open(path_)->Read(0), artefact);
}

TEST_F(ArtefactFiles, AReaderGoesOnAfterTheFileIsRemoved) {
  ASSERT_TRUE(ArtefactFile::Write(path_, "adapters", {}));
  const auto file = ArtefactFile::Open(path_).value();
  fs::remove(path_);
  std::string tail(4, '\0');
  ASSERT_TRUE(file.ReadAt(4, tail));
  EXPECT_EQ(tail, "ters");
}

}  // namespace
}  // namespace dashf::runtime
