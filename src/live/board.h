// What happens, as server-sent events: the latest messages for any number of readers. Each reader
// has its own place in it and nothing else, so that one that does not read costs nothing; whom the
// board has passed is told to begin anew. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dashf::live {

class Board {
 public:
  struct Limits {
    std::size_t messages = 4096, bytes = 4 << 20;
  };
  // `life` tells this process's messages from an earlier one's: letters and digits.
  explicit Board(std::string life);
  Board(std::string life, Limits limits) : life_(std::move(life)), limits_(limits) {}

  // `data` is one line.
  void Put(std::string_view event, std::string_view data);
  // Called after each Put, from its thread; must return at once.
  void OnPut(std::function<void()> wake);

  std::string LastId() const;  // "LIFE-17".
  // The number after the message that a reader has last had, by its id; none: it is of another life
  // or not there any more, and the reader has to begin anew.
  std::optional<std::uint64_t> After(std::string_view id) const;

  using Message = std::shared_ptr<const std::string>;  // As it is sent.
  struct Part {
    std::vector<Message> messages;
    std::uint64_t next = 0;
    bool passed = false;  // Some before them are not there any more.
  };
  // Those from `from` on, of about `bytes_max` bytes at most.
  Part From(std::uint64_t from, std::size_t bytes_max) const;

 private:
  const std::string life_;
  const Limits limits_;
  mutable std::mutex mutex_;
  std::deque<Message> messages_;
  std::uint64_t first_ = 1;  // The number of the first of them.
  std::size_t bytes_ = 0;
  std::function<void()> wake_;
};

}  // namespace dashf::live
