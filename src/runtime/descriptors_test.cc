#include "runtime/descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dashf::runtime {
namespace {

// In a process of its own, whose limits are its own.
int InChild(int (*check)()) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(check());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Descriptors, TheLimitIsRaisedToTheHardOne) {
  EXPECT_EQ(InChild([] {
              rlimit limit{};
              if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
              const rlim_t hard = limit.rlim_max;
              limit.rlim_cur = 64;
              if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
              RaiseDescriptorLimit();
              if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 3;
              return limit.rlim_cur == hard ? 0 : 4;
            }),
            0);
}

TEST(Descriptors, NoneLeftIsNoticedWithItsLimit) {
  EXPECT_EQ(InChild([] {
              if (!CheckDescriptorsLeft()) return 1;
              const rlimit limit{64, 64};
              if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
              while (::open("/dev/null", O_RDONLY) >= 0) {
              }
              const auto left = CheckDescriptorsLeft();
              if (left) return 3;
              return left.error().kind == ErrorKind::kIo &&
                             left.error().Text().find("all 64 ") != std::string::npos
                         ? 0
                         : 4;
            }),
            0);
}

}  // namespace
}  // namespace dashf::runtime
