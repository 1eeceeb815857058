#include "runtime/process.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

namespace dashf::runtime {
namespace {

ProcessEnd WaitForEnd(ProcessGroup& group) {
  for (int i = 0; i < 500; ++i) {
    if (auto end = group.Poll()) return *end;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ADD_FAILURE() << "no child ended within 5 s";
  return {};
}

bool Exists(pid_t pid) {
  return ::kill(pid, 0) == 0;
}

TEST(ProcessGroup, ReportsHowEachChildEnded) {
  ProcessGroup group;
  ASSERT_TRUE(group.Start("seven", {"/bin/sh", "-c", "exit $CODE"}, {"CODE=7"}));
  EXPECT_EQ(Describe(WaitForEnd(group)), "exit 7");
  ASSERT_TRUE(group.Start("sleeper", {"/bin/sleep", "60"}));
  group.Signal("sleeper", SIGKILL);
  EXPECT_EQ(Describe(WaitForEnd(group)), "killed by signal 9 (Killed)");
  EXPECT_EQ(group.running(), 0U);
}

TEST(ProcessGroup, AProgramThatDoesNotExistIsAnErrorHere) {
  ProcessGroup group;
  const auto started = group.Start("ghost", {"/nonexistent/program"});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().Text(), "/nonexistent/program: No such file or directory");
}

TEST(ProcessGroup, ItsEndIsTheEndOfItsChildren) {
  pid_t child = 0;
  {
    ProcessGroup group;
    child = group.Start("sleeper", {"/bin/sleep", "60"}).value();
    EXPECT_TRUE(Exists(child));
  }
  EXPECT_FALSE(Exists(child));
}

// The parent here is itself a child that is killed without any chance to clean up.
TEST(ProcessGroup, ChildrenDieWithAKilledParent) {
  int channel[2];
  ASSERT_EQ(::pipe(channel), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    ProcessGroup group;
    const pid_t child = group.Start("sleeper", {"/bin/sleep", "60"}).value();
    if (::write(channel[1], &child, sizeof child) != sizeof child) ::_exit(1);
    ::pause();
  }
  pid_t child = 0;
  ASSERT_EQ(::read(channel[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  for (int i = 0; i < 200 && Exists(child); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(Exists(child));
  ::close(channel[0]);
  ::close(channel[1]);
}

TEST(EndedBySignals, ASignalEndsAStartThatStandsStillAndNothingAfterIt) {
  for (const bool starting : {true, false}) {
    const pid_t child = ::fork();
    if (child == 0) {
      const StopSignals blocked;
      std::optional<EndedBySignals> ended(std::in_place);
      if (!starting) ended.reset();
      ::kill(::getpid(), SIGTERM);
      if (starting) std::this_thread::sleep_for(std::chrono::seconds(60));
      ::_exit(StopSignals().Wait(1000) == SIGTERM ? 0 : 1);  // It is there for whoever asks.
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), starting ? 128 + SIGTERM : 0);
  }
}

}  // namespace
}  // namespace dashf::runtime
