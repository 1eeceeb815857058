#include "train/scratch_floats.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace dashf::train {
namespace {

namespace fs = std::filesystem;

double AnonymousBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stod(line.substr(8)) * 1024.0;
  }
  return -1.0;
}

TEST(ScratchFloats, AFileHasNoNameAndTakesNoAnonymousMemory) {
  constexpr std::int64_t kCount = 1 << 24;  // 64 MiB.
  const fs::path folder = fs::path(testing::TempDir()) / "dashf_scratch_floats";
  const double before = AnonymousBytes();
  ASSERT_GT(before, 0.0);
  ScratchFloats made(kCount, folder);
  for (std::int64_t i = 0; i < kCount; ++i) made.data()[i] = static_cast<float>(i % 1000);
  EXPECT_LT(AnonymousBytes() - before, 4e6);
  EXPECT_TRUE(fs::is_empty(folder));
  const ScratchFloats moved = std::move(made);
  for (std::int64_t i = 0; i < kCount; i += 4097) {
    ASSERT_EQ(moved.data()[i], static_cast<float>(i % 1000)) << i;
  }
  fs::remove_all(folder);
}

TEST(ScratchFloats, RoomThatIsMissingIsMissedAtOnce) {
  const fs::path folder = fs::path(testing::TempDir()) / "dashf_scratch_floats_too_many";
  EXPECT_THROW(ScratchFloats(std::int64_t{1} << 58, folder), fs::filesystem_error);
  EXPECT_TRUE(fs::is_empty(folder));
  fs::remove_all(folder);
  EXPECT_THROW(ScratchFloats(1, "/dev/null/folder"), fs::filesystem_error);
}

}  // namespace
}  // namespace dashf::train
