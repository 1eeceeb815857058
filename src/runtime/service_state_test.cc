#include "runtime/service_state.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "base/descriptor.h"

namespace dashf::runtime {
namespace {

// What systemd is to a service: a datagram socket that the environment names.
class Service : public testing::Test {
 protected:
  Service() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = testing::TempDir() + "notify";
    ::unlink(path.c_str());
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval timeout{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    ::setenv("WATCHDOG_USEC", "60000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  }
  ~Service() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  std::string Heard(int flags = 0) {
    std::array<char, 256> text{};
    const ssize_t size = ::recv(socket_.get(), text.data(), text.size(), flags);
    return size < 0 ? "" : std::string(text.data(), static_cast<std::size_t>(size));
  }

  const Descriptor socket_;
};

TEST_F(Service, HearsOfReadinessAndOfTheEnd) {
  const ServiceState state;
  state.Ready("on [::]:7443");
  EXPECT_EQ(Heard(), "READY=1\nSTATUS=on [::]:7443");
  state.Stopping();
  EXPECT_EQ(Heard(), "STOPPING=1");
}

TEST_F(Service, HearsThatItLivesAThirdOfTheWatchdogsTimeApart) {
  ServiceState state;
  EXPECT_EQ(state.alive_every(), std::chrono::microseconds(20000));
  for (int i = 0; i < 5; ++i) state.Alive();
  EXPECT_EQ(Heard(), "WATCHDOG=1");
  EXPECT_EQ(Heard(MSG_DONTWAIT), "") << "more often than asked for";
  const ServicePulse pulse(&state);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Heard(), "WATCHDOG=1");
}

TEST_F(Service, WatchesNoOtherProcess) {
  ::setenv("WATCHDOG_PID", "1", 1);
  ServiceState state;
  EXPECT_EQ(state.alive_every().count(), 0);
  state.Alive();
  const ServicePulse pulse(&state);
  EXPECT_EQ(Heard(MSG_DONTWAIT), "");
}

TEST(NoService, IsToldNothing) {
  ServiceState state;
  state.Ready("");
  state.Alive();
}

}  // namespace
}  // namespace dashf::runtime
