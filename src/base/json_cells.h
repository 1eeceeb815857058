// A JSON text as one array of 8-byte cells in document order, with its strings beside it: what
// JsonReader (base/json.h) reads from. A value takes one cell, an integer of 2^48 and more or below
// 0 two; a key stands before its member's value. An array's or object's cell says where it ends, so
// that members are passed over without being looked at. About as large as the text's numbers alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <memory_resource>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace dashf {

class JsonCells {
 public:
  using Index = std::size_t;  // Of a value's (first) cell; the document's root is 0.
  enum class Type { kNull, kFalse, kTrue, kNumber, kPositive, kNegative, kString, kArray, kObject };

  // Strict syntax: RFC 8259, UTF-8, no duplicate keys, 64 levels. `next` gives the text's next
  // bytes each time and none at its end. The error is the broken rule alone: with line and column
  // where it is one of syntax, or the limit on memory, on cells and strings together, that was
  // reached.
  static tl::expected<JsonCells, std::string> Parse(const std::function<std::string_view()>& next,
                                                    std::uint64_t memory_bytes_max);

  Type type(Index at) const;
  double Number(Index at) const;           // kNumber, kPositive, kNegative.
  std::uint64_t Positive(Index at) const;  // kPositive: an integer >= 0.
  std::int64_t Negative(Index at) const;   // kNegative: an integer < 0.
  std::string_view String(Index at) const;
  Index Next(Index at) const;   // The cell after this value.
  Index First(Index at) const;  // An array's or object's first cell; its Next() if it is empty.

  // Keys of an object: First() is a key, its value follows, Next() of that is the next key. A key
  // remembers that it was asked for.
  void MarkAsked(Index key) { cells_[key] |= kAsked; }
  bool Asked(Index key) const { return (cells_[key] & kAsked) != 0; }

  // At most `values_max` values of it, the first ones, as a document of nlohmann's.
  template <class Json>
  Json Copy(Index at, std::size_t values_max) const;

 private:
  friend class JsonCellWriter;
  // Values that are no double's lie among the negative NaNs, of which JSON has none: 0xFFF1 + tag.
  static constexpr std::uint64_t kPayload = (std::uint64_t{1} << 48) - 1;
  static constexpr std::uint64_t kTagged = std::uint64_t{0xFFF1} << 48;
  static constexpr std::uint64_t kAsked = std::uint64_t{1} << 47;  // Above every address.
  enum class Tag { kNull, kFalse, kTrue, kSmall, kWide, kNegative, kString, kArray, kObject };

  template <class Json>
  Json CopyWithin(Index at, std::size_t* values_left) const;
  std::uint64_t Payload(Index at) const { return cells_[at] & (kPayload & ~kAsked); }
  bool Is(Index at, Tag tag) const;

  std::deque<std::uint64_t> cells_;
  std::unique_ptr<std::pmr::monotonic_buffer_resource> strings_ =
      std::make_unique<std::pmr::monotonic_buffer_resource>();
};

extern template nlohmann::json JsonCells::Copy(Index, std::size_t) const;
extern template nlohmann::ordered_json JsonCells::Copy(Index, std::size_t) const;

}  // namespace dashf
