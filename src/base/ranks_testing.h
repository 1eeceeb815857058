// Ranks that are threads of one process, for tests of what runs on ranks. Not for the product.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/ranks.h"

namespace dashf::testing {

class Mailboxes {
 public:
  void Put(int from, int to, std::span<const std::byte> bytes) {
    const std::scoped_lock lock(mutex_);
    boxes_[{from, to}].emplace_back(bytes.begin(), bytes.end());
    arrived_.notify_all();
  }
  std::vector<std::byte> Take(int from, int to) {
    std::unique_lock lock(mutex_);
    auto& box = boxes_[{from, to}];
    arrived_.wait(lock, [&box] { return !box.empty(); });
    std::vector<std::byte> bytes = std::move(box.front());
    box.pop_front();
    return bytes;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> boxes_;
};

class ThreadRanks final : public Ranks {
 public:
  ThreadRanks(int rank, int count, Mailboxes* mail) : rank_(rank), count_(count), mail_(*mail) {}
  int rank() const override { return rank_; }
  int count() const override { return count_; }
  void Send(int to, std::span<const std::byte> bytes) override { mail_.Put(rank_, to, bytes); }
  void Receive(int from, std::span<std::byte> bytes) override {
    const std::vector<std::byte> sent = mail_.Take(from, rank_);
    DASHF_CHECK(sent.size() == bytes.size());
    std::copy(sent.begin(), sent.end(), bytes.begin());
  }

 private:
  const int rank_, count_;
  Mailboxes& mail_;
};

// Runs body(ranks) once as each rank; returns when all have ended.
template <class Body>
void OnRanks(int count, const Body& body) {
  Mailboxes mail;
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadRanks ranks(rank, count, &mail);
      body(&ranks);
    });
  }
}

}  // namespace dashf::testing
