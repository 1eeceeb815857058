#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

namespace dashf {
namespace {

namespace fs = std::filesystem;

fs::path TestFolder() {
  const fs::path folder = fs::path(::testing::TempDir()) /
                          ::testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::remove_all(folder);
  return folder;
}

TEST(File, WhatIsWrittenIsReadBackAndNothingElseIsLeft) {
  const fs::path folder = TestFolder();
  ASSERT_TRUE(WriteFileAtomically(folder / "a" / "b.txt", "one"));
  ASSERT_TRUE(WriteFileAtomically(folder / "a" / "b.txt", "two"));
  EXPECT_EQ(ReadFile(folder / "a" / "b.txt").value(), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "a"), {}), 1);
}

TEST(File, OfFilesThatBelongTogetherNoneIsReplacedIfOneCannotBe) {
  const fs::path folder = TestFolder();
  ASSERT_TRUE(WriteFileAtomically(folder / "first", "old"));
  fs::create_directories(folder / "second");
  const FileBytes files[] = {{folder / "first", "new"}, {folder / "second", "new"}};
  const auto written = WriteFilesAtomically(files);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kIo);
  EXPECT_EQ(written.error().where, (folder / "second").string());
  EXPECT_EQ(ReadFile(folder / "first").value(), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 2);
  fs::remove(folder / "second");
  ASSERT_TRUE(WriteFilesAtomically(files));
  EXPECT_EQ(ReadFile(folder / "first").value(), "new");
  EXPECT_EQ(ReadFile(folder / "second").value(), "new");
}

// A child writes two files that belong together and waits for a reader of the second, a pipe: what
// it has written of the first must not outlive it.
TEST(File, AKilledWriterLeavesNothing) {
  const fs::path folder = TestFolder();
  fs::create_directories(folder);
  const int unnamed = ::open(folder.c_str(), O_WRONLY | O_TMPFILE, 0644);
  if (unnamed < 0) GTEST_SKIP() << "this file system has no files without a name";
  ::close(unnamed);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FileBytes files[] = {{folder / "file", "new"}, {folder / "pipe", "new"}};
    static_cast<void>(WriteFilesAtomically(files));
    ::_exit(0);
  }
  const auto wrote = [&] {
    std::error_code gone;
    const fs::path descriptors = "/proc/" + std::to_string(child) + "/fd";
    for (const auto& entry : fs::directory_iterator(descriptors, gone)) {
      std::error_code closed;
      const std::string name = fs::read_symlink(entry, closed).string();
      if (!name.starts_with(folder.string())) continue;
      if (fs::file_size(entry, closed) == 3 && !closed) return true;
    }
    return false;
  };
  for (int i = 0; i < 1000 && !wrote(); ++i) ::usleep(10'000);
  EXPECT_TRUE(wrote());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const auto& entry : fs::directory_iterator(folder)) {
    EXPECT_EQ(entry.path().filename(), "pipe");
  }
}

TEST(File, WritingGoesThroughLinksAndLeavesThem) {
  const fs::path folder = TestFolder();
  ASSERT_TRUE(WriteFileAtomically(folder / "real" / "file", "old"));
  fs::create_symlink("real/file", folder / "link");
  fs::create_symlink("link", folder / "link of link");
  ASSERT_TRUE(WriteFileAtomically(folder / "link of link", "new"));
  EXPECT_TRUE(fs::is_symlink(folder / "link of link"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(ReadFile(folder / "real" / "file").value(), "new");
  fs::create_symlink("not yet", folder / "dangling");
  ASSERT_TRUE(WriteFileAtomically(folder / "dangling", "there"));
  EXPECT_EQ(ReadFile(folder / "not yet").value(), "there");
}

TEST(File, WhatIsNoPlainFileIsWrittenInto) {
  const fs::path folder = TestFolder();
  fs::create_directories(folder);
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string received;
  std::thread reader([&] { received = ReadFile(pipe).value_or("nothing"); });
  EXPECT_TRUE(WriteFileAtomically(pipe, "through the pipe"));
  reader.join();
  EXPECT_EQ(received, "through the pipe");
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_TRUE(WriteFileAtomically("/dev/null", "gone"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(WriteFileAtomically("/dev/full", "x").error().kind, ErrorKind::kIo);
}

TEST(File, AnOpenDescriptorIsWrittenIntoByItsName) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_TRUE(WriteFileAtomically("/dev/fd/" + std::to_string(ends[1]), "bytes"));
  ::close(ends[1]);
  std::array<char, 8> bytes{};
  EXPECT_EQ(::read(ends[0], bytes.data(), bytes.size()), 5);
  EXPECT_EQ(std::string(bytes.data(), 5), "bytes");
  ::close(ends[0]);
}

TEST(File, MissingFileAndFolderAreIoErrorsThatNameThePath) {
  const fs::path folder = TestFolder();
  const auto missing = ReadFile(folder / "none");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kIo);
  EXPECT_EQ(missing.error().where, (folder / "none").string());
  EXPECT_EQ(ReadFile("/").error().kind, ErrorKind::kIo);
}

TEST(File, TooLargeAFileIsRefused) {
  const fs::path folder = TestFolder();
  ASSERT_TRUE(WriteFileAtomically(folder / "x", "12345"));
  EXPECT_EQ(ReadFile(folder / "x", 4).error().kind, ErrorKind::kBadInput);
  EXPECT_TRUE(ReadFile(folder / "x", 5));
}

// Nothing is set aside for a size that is refused: this one would be a terabyte.
TEST(File, TheRefusalOfTooLargeAFileSaysHowLargeItIs) {
  const fs::path folder = TestFolder();
  ASSERT_TRUE(WriteFileAtomically(folder / "sparse", ""));
  fs::resize_file(folder / "sparse", std::uintmax_t{1} << 40);
  EXPECT_EQ(ReadFile(folder / "sparse").error().Text(),
            (folder / "sparse").string() + ": must be at most 1073741824 bytes, has 1099511627776");
}

TEST(File, WhatHasNoSizeIsStillReadToTheLimitAlone) {
  EXPECT_EQ(ReadFile("/dev/zero", 1000).error().kind, ErrorKind::kBadInput);
}

}  // namespace
}  // namespace dashf
