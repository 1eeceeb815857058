// One thread's work, posted to it by others: a node's decisions are made by one thread alone.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace dashf::runtime {

class NodeLoop {
 public:
  using Job = std::function<void()>;

  void Post(Job job) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    jobs_.push_back(std::move(job));
    posted_.notify_one();
  }

  // What waits, and what is posted from now on, is dropped.
  void Close() {
    std::deque<Job> dropped;  // Destroyed without the lock.
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(jobs_);
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
  }

  // Waits for work and does all that is there by then.
  void DoPosted(std::chrono::milliseconds patience) {
    std::deque<Job> jobs;
    {
      std::unique_lock lock(mutex_);
      posted_.wait_for(lock, patience, [this] { return !jobs_.empty(); });
      jobs.swap(jobs_);
    }
    for (const Job& job : jobs) job();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<Job> jobs_;
  bool closed_ = false;
};

}  // namespace dashf::runtime
