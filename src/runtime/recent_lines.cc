#include "runtime/recent_lines.h"

#include <algorithm>
#include <utility>

namespace dashf::runtime {

void RecentLines::Add(std::string line) {
  const std::lock_guard lock(mutex_);
  bytes_ += line.size();
  lines_.push_back(std::move(line));
  while (lines_.size() > kLinesMax || bytes_ > kBytesMax) {
    bytes_ -= lines_.front().size();
    lines_.pop_front();
    ++first_;
  }
  changed_.notify_all();
}

RecentLines::Part RecentLines::From(std::uint64_t from,
                                    std::size_t bytes_max,
                                    std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  const auto end = [this] { return first_ + lines_.size(); };
  changed_.wait_for(lock, patience, [&] { return closed_ || end() > from; });
  Part part{.lines = {}, .next = std::max(from, first_), .closed = closed_};
  for (std::size_t bytes = 0; part.next < end() && bytes < bytes_max; ++part.next) {
    part.lines.push_back(lines_[part.next - first_]);
    bytes += part.lines.back().size();
  }
  return part;
}

void RecentLines::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace dashf::runtime
