#include "live/board.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace dashf::live {

Board::Board(std::string life) : Board(std::move(life), Limits()) {}

void Board::Put(std::string_view event, std::string_view data) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::make_shared<std::string>(fmt::format(
        "id: {}-{}\nevent: {}\ndata: {}\n\n", life_, first_ + messages_.size(), event, data)));
    bytes_ += messages_.back()->size();
    while (messages_.size() > 1 &&
           (messages_.size() > limits_.messages || bytes_ > limits_.bytes)) {
      bytes_ -= messages_.front()->size();
      messages_.pop_front();
      ++first_;
    }
    wake = wake_;
  }
  if (wake) wake();
}

void Board::OnPut(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

std::string Board::LastId() const {
  const std::lock_guard lock(mutex_);
  return fmt::format("{}-{}", life_, first_ + messages_.size() - 1);
}

std::optional<std::uint64_t> Board::After(std::string_view id) const {
  const std::size_t dash = id.rfind('-');
  if (dash == std::string_view::npos || id.substr(0, dash) != life_) return std::nullopt;
  const std::string_view digits = id.substr(dash + 1);
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failed != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (number + 1 < first_ || number >= first_ + messages_.size()) return std::nullopt;
  return number + 1;
}

Board::Part Board::From(std::uint64_t from, std::size_t bytes_max) const {
  const std::lock_guard lock(mutex_);
  Part part{{}, std::max(from, first_), from < first_};
  std::size_t bytes = 0;
  for (; part.next < first_ + messages_.size() && bytes < bytes_max; ++part.next) {
    part.messages.push_back(messages_[part.next - first_]);
    bytes += part.messages.back()->size();
  }
  return part;
}

}  // namespace dashf::live
