// For tests: a TCP relay on the loopback device that cuts each connection after so many bytes.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "base/descriptor.h"

namespace dashf::runtime {

class CuttingProxy {
 public:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  // How many bytes, both ways together, connection 0, 1, ... lets through.
  using Budget = std::function<std::int64_t(int connection)>;

  CuttingProxy(int target_port, Budget budget)
      : target_port_(target_port), budget_(std::move(budget)) {
    sockaddr_in address = Loopback(0);
    EXPECT_EQ(::bind(listener_.get(), AsAny(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_.get(), AsAny(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Run(); });
  }
  ~CuttingProxy() {
    stop_ = true;
    thread_.join();
    for (std::thread& relay : relays_) relay.join();
  }
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  const std::string& address() const { return address_; }
  std::int64_t bytes() const { return bytes_; }  // Relayed so far.
  int connections() const { return connections_; }

 private:
  static constexpr int kTickMs = 20;

  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
  }
  static sockaddr* AsAny(sockaddr_in* address) { return reinterpret_cast<sockaddr*>(address); }

  void Run() {
    while (!stop_) {
      pollfd waiting{listener_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, kTickMs) <= 0) continue;
      Descriptor near(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      Descriptor far(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address = Loopback(target_port_);
      if (::connect(far.get(), AsAny(&address), sizeof address) != 0) continue;
      const std::int64_t left = budget_(connections_++);
      relays_.emplace_back([this, left, near = std::move(near), far = std::move(far)] {
        Relay(near.get(), far.get(), left);
      });
    }
  }

  void Relay(int near, int far, std::int64_t left) const {
    std::array<char, 16384> block{};
    while (!stop_ && left > 0) {
      std::array<pollfd, 2> ends{pollfd{near, POLLIN, 0}, pollfd{far, POLLIN, 0}};
      if (::poll(ends.data(), ends.size(), kTickMs) < 0) return;
      for (int i = 0; i < 2; ++i) {
        if (ends[static_cast<std::size_t>(i)].revents == 0) continue;
        const auto most = static_cast<std::size_t>(std::min<std::int64_t>(left, block.size()));
        const ssize_t n = ::recv(i == 0 ? near : far, block.data(), most, 0);
        if (n <= 0 || !Send(i == 0 ? far : near, {block.data(), static_cast<std::size_t>(n)})) {
          return;
        }
        left -= n;
        bytes_ += n;
      }
    }
  }

  static bool Send(int to, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  const int target_port_;
  const Budget budget_;
  const Descriptor listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string address_;
  mutable std::atomic<std::int64_t> bytes_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> relays_;  // The listening thread's, and after it the destructor's.
  std::thread thread_;
};

}  // namespace dashf::runtime
