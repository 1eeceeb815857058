#include "runtime/folder_lock.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace dashf::runtime {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class FolderLockTest : public testing::Test {
 protected:
  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / "lock" / "user-u3";
};

TEST_F(FolderLockTest, ASecondOwnerIsRefusedAndToldOfTheFirst) {
  {
    const auto first = FolderLock::Take(folder_, "user/u3");
    ASSERT_TRUE(first) << first.error().Text();
    struct stat status {};
    ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    const auto second = FolderLock::Take(folder_, "user/u4");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kIo);
    EXPECT_THAT(second.error().Text(),
                AllOf(HasSubstr("user-u3: is in use by process " + std::to_string(::getpid())),
                      HasSubstr("user/u3, since 20")));
  }
  EXPECT_TRUE(FolderLock::Take(folder_, "user/u4")) << "the first has left";
}

TEST_F(FolderLockTest, WhatElseItsOwnerWillWriteInIsMadeOrNamed) {
  EXPECT_TRUE(FolderLock::Take(folder_, "user/u3", {folder_ / "state"}));
  EXPECT_TRUE(std::filesystem::is_directory(folder_ / "state"));
  const auto refused = FolderLock::Take(folder_, "user/u3", {folder_ / "lock"});
  ASSERT_FALSE(refused) << "a file is in its way";
  EXPECT_EQ(refused.error().kind, ErrorKind::kIo);
  EXPECT_THAT(refused.error().Text(), HasSubstr("user-u3/lock: "));
}

TEST_F(FolderLockTest, TheLockOfAKilledProcessIsFree) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto taken = FolderLock::Take(folder_, "user/u3");
    const char byte = taken ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1 || !taken) ::_exit(1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  EXPECT_FALSE(FolderLock::Take(folder_, "user/u3"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(FolderLock::Take(folder_, "user/u3"));
}

}  // namespace
}  // namespace dashf::runtime
