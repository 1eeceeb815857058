// The latest of many lines, for whoever asks and whoever follows them: bounded, and who writes
// waits for no reader longer than a copy in memory takes. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace dashf::runtime {

class RecentLines {
 public:
  static constexpr std::size_t kLinesMax = 4096, kBytesMax = 2 << 20;

  void Add(std::string line);  // Without its line end.

  struct Part {
    std::vector<std::string> lines;
    std::uint64_t next = 0;  // Where to go on from.
    bool closed = false;     // No further ones will come.
  };
  // Those from number `from` on that there still are, of about `bytes_max` bytes at most; waits for
  // the first one up to `patience`. Lines are numbered from 0.
  Part From(std::uint64_t from, std::size_t bytes_max, std::chrono::milliseconds patience) const;
  void Close();

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<std::string> lines_;
  std::uint64_t first_ = 0;  // The number of the first of them.
  std::size_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace dashf::runtime
