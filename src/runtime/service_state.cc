#include "runtime/service_state.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/descriptor.h"

namespace dashf::runtime {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::int64_t Number(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

ServiceState::ServiceState() : socket_(Variable("NOTIFY_SOCKET")) {
  const std::string pid = Variable("WATCHDOG_PID");
  if (pid.empty() || Number(pid) == ::getpid()) {
    alive_every_ = std::chrono::microseconds(Number(Variable("WATCHDOG_USEC")) / 3);
  }
}

void ServiceState::Ready(const std::string& status) const {
  Send(fmt::format("READY=1\nSTATUS={}", status));
}

void ServiceState::Stopping() const {
  Send("STOPPING=1");
}

void ServiceState::Alive() {
  if (alive_every_.count() <= 0) return;
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (sent_ != std::chrono::steady_clock::time_point{} && now - sent_ < alive_every_) return;
    sent_ = now;
  }
  Send("WATCHDOG=1");
}

void ServiceState::Send(const std::string& message) const {
  sockaddr_un address{};
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // Linux's abstract sockets.
  const Descriptor file(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  // Whoever does not listen is not waited for.
  [[maybe_unused]] const ssize_t sent = ::sendto(file.get(),
                                                 message.data(),
                                                 message.size(),
                                                 MSG_NOSIGNAL | MSG_DONTWAIT,
                                                 reinterpret_cast<const sockaddr*>(&address),
                                                 size);
}

ServicePulse::ServicePulse(ServiceState* service) {
  if (service->alive_every().count() <= 0) return;
  thread_ = std::thread([this, service] {
    std::unique_lock lock(mutex_);
    do {
      service->Alive();
    } while (!wake_.wait_for(lock, service->alive_every(), [this] { return stop_; }));
  });
}

ServicePulse::~ServicePulse() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace dashf::runtime
