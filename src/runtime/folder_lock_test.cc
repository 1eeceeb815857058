#include "runtime/folder_lock.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace dashf::runtime {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::filesystem::path kFolder =
    std::filesystem::path(testing::TempDir()) / "lock" / "user-u3";

TEST(FolderLock, ASecondOwnerIsRefusedAndToldOfTheFirst) {
  {
    const auto first = FolderLock::Take(kFolder, "user/u3");
    ASSERT_TRUE(first) << first.error().Text();
    struct stat status {};
    ASSERT_EQ(::stat(kFolder.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    const auto second = FolderLock::Take(kFolder, "user/u4");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kIo);
    EXPECT_THAT(second.error().Text(),
                AllOf(HasSubstr("user-u3: is in use by process " + std::to_string(::getpid())),
                      HasSubstr("user/u3, since 20")));
  }
  EXPECT_TRUE(FolderLock::Take(kFolder, "user/u4")) << "the first has left";
}

TEST(FolderLock, TheLockOfAKilledProcessIsFree) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto taken = FolderLock::Take(kFolder, "user/u3");
    const char byte = taken ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  EXPECT_FALSE(FolderLock::Take(kFolder, "user/u3"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(FolderLock::Take(kFolder, "user/u3"));
}

}  // namespace
}  // namespace dashf::runtime
