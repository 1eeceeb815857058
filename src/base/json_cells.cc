#include "base/json_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <limits>

#include "base/check.h"
#include "base/printable.h"

namespace dashf {
namespace {

constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kProblemBytesMax = 400;
// A single string, or blank space, of this length is no file of ours.
constexpr std::size_t kBytesWithoutValueMax = std::size_t{16} << 20;

// The text as the lexer takes it, character by character. It ends early once `problem` is set.
class Text {
 public:
  explicit Text(const std::function<std::string_view()>& next) : next_(next) { Refill(); }

  bool Done() {
    if (at_ == end_) Refill();
    return at_ == end_;
  }
  char Current() const { return *at_; }
  void Advance() { ++at_; }
  void SawValue() { bytes_without_value_ = 0; }

  std::string problem;

 private:
  void Refill() {
    if (!problem.empty() || over_) return;
    const std::string_view block = next_();
    over_ = block.empty();
    at_ = block.data();
    end_ = at_ + block.size();
    if (bytes_without_value_ > kBytesWithoutValueMax) {
      problem = fmt::format("must not have a string or blank space longer than {} bytes",
                            kBytesWithoutValueMax);
      end_ = at_;
    }
    bytes_without_value_ += block.size();
  }

  const std::function<std::string_view()>& next_;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::size_t bytes_without_value_ = 0;
  bool over_ = false;
};

struct TextIterator {
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = char;
  using iterator_category = std::input_iterator_tag;

  Text* text = nullptr;  // Null: the end.

  char operator*() const { return text->Current(); }
  TextIterator& operator++() {
    text->Advance();
    return *this;
  }
  TextIterator operator++(int) {
    TextIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const TextIterator& other) const {
    const bool done = text == nullptr || text->Done();
    return done == (other.text == nullptr || other.text->Done());
  }
};

}  // namespace

// The library reads the syntax; this appends what it found.
class JsonCellWriter : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonCellWriter(Text* text, JsonCells* cells, std::uint64_t memory_bytes_max)
      : text_(text), document_(*cells), memory_bytes_max_(memory_bytes_max) {}

  bool null() override { return Append(Tag::kNull, 0); }
  bool boolean(bool value) override { return Append(value ? Tag::kTrue : Tag::kFalse, 0); }
  bool number_integer(number_integer_t value) override {
    return Append(Tag::kNegative, 0) && AppendCell(std::bit_cast<std::uint64_t>(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value < JsonCells::kAsked) return Append(Tag::kSmall, value);
    return Append(Tag::kWide, 0) && AppendCell(value);
  }
  bool number_float(number_float_t value, const string_t&) override {
    return AppendCell(std::bit_cast<std::uint64_t>(value));
  }
  bool string(string_t& value) override { return AppendString(value); }
  bool key(string_t& value) override { return AppendString(value); }
  bool binary(binary_t&) override { return false; }  // JSON has none.
  bool start_array(std::size_t) override { return Open(Tag::kArray); }
  bool start_object(std::size_t) override { return Open(Tag::kObject); }
  bool end_array() override {
    Close(Tag::kArray);
    return true;
  }
  bool end_object() override {
    const std::size_t object = Close(Tag::kObject);
    keys_.clear();
    for (std::size_t at = object + 1; at < document_.cells_.size();
         at = document_.Next(document_.Next(at))) {
      keys_.push_back(document_.String(at));
    }
    std::sort(keys_.begin(), keys_.end());
    const auto twice = std::adjacent_find(keys_.begin(), keys_.end());
    return twice == keys_.end() || Refuse(fmt::format("duplicate key \"{}\"", *twice));
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) override {
    // The library's text carries line and column; its own prefix "[json....] " says nothing here.
    const std::string text = e.what();
    const auto bracket = text.find("] ");
    return Refuse("not valid JSON: " +
                  (bracket == std::string::npos ? text : text.substr(bracket + 2)));
  }

 private:
  using Tag = JsonCells::Tag;

  bool Refuse(const std::string& problem) {
    if (text_->problem.empty()) {
      text_->problem = Clipped(problem, kProblemBytesMax);
    }
    return false;
  }

  bool AppendCell(std::uint64_t cell) {
    text_->SawValue();
    document_.cells_.push_back(cell);
    if (document_.cells_.size() * sizeof(cell) + string_bytes_ <= memory_bytes_max_) return true;
    return Refuse(fmt::format("must take at most {} bytes of memory once read, takes more",
                              memory_bytes_max_));
  }

  static std::uint64_t Cell(Tag tag, std::uint64_t payload) {
    DASHF_CHECK(payload < JsonCells::kAsked);
    return JsonCells::kTagged + (static_cast<std::uint64_t>(tag) << 48) + payload;
  }

  bool Append(Tag tag, std::uint64_t payload) { return AppendCell(Cell(tag, payload)); }

  bool AppendString(std::string_view value) {
    const auto size = static_cast<std::uint32_t>(value.size());  // Far below 2^32: Text's limit.
    const std::size_t bytes = sizeof size + value.size();
    char* place = static_cast<char*>(document_.strings_->allocate(bytes, 1));
    std::memcpy(place, &size, sizeof size);
    std::copy(value.begin(), value.end(), place + sizeof size);
    string_bytes_ += bytes;
    return Append(Tag::kString, reinterpret_cast<std::uintptr_t>(place));
  }

  bool Open(Tag tag) {
    open_.push_back(document_.cells_.size());
    if (open_.size() > kDepthMax) {
      return Refuse(fmt::format("must not nest deeper than {} levels", kDepthMax));
    }
    return Append(tag, 0);
  }

  std::size_t Close(Tag tag) {
    const std::size_t begin = open_.back();
    open_.pop_back();
    document_.cells_[begin] = Cell(tag, document_.cells_.size());
    return begin;
  }

  Text* text_;
  JsonCells& document_;
  std::uint64_t memory_bytes_max_;
  std::uint64_t string_bytes_ = 0;
  std::vector<std::size_t> open_;
  std::vector<std::string_view> keys_;
};

tl::expected<JsonCells, std::string> JsonCells::Parse(const std::function<std::string_view()>& next,
                                                      std::uint64_t memory_bytes_max) {
  Text text(next);
  JsonCells cells;
  JsonCellWriter writer(&text, &cells, memory_bytes_max);
  // A text cut short by a limit may yet be sound JSON.
  if (!nlohmann::json::sax_parse(TextIterator{&text}, TextIterator{}, &writer) ||
      !text.problem.empty()) {
    return tl::unexpected(text.problem);
  }
  return cells;
}

bool JsonCells::Is(Index at, Tag tag) const {
  return cells_[at] >> 48 == (kTagged >> 48) + static_cast<std::uint64_t>(tag);
}

JsonCells::Type JsonCells::type(Index at) const {
  if (cells_[at] < kTagged) return Type::kNumber;
  static constexpr Type kTypes[] = {Type::kNull,
                                    Type::kFalse,
                                    Type::kTrue,
                                    Type::kPositive,
                                    Type::kPositive,
                                    Type::kNegative,
                                    Type::kString,
                                    Type::kArray,
                                    Type::kObject};
  return kTypes[(cells_[at] - kTagged) >> 48];
}

double JsonCells::Number(Index at) const {
  switch (type(at)) {
    case Type::kPositive:
      return static_cast<double>(Positive(at));
    case Type::kNegative:
      return static_cast<double>(Negative(at));
    default:
      return std::bit_cast<double>(cells_[at]);
  }
}

std::uint64_t JsonCells::Positive(Index at) const {
  return Is(at, Tag::kSmall) ? Payload(at) : cells_[at + 1];
}

std::int64_t JsonCells::Negative(Index at) const {
  return std::bit_cast<std::int64_t>(cells_[at + 1]);
}

std::string_view JsonCells::String(Index at) const {
  const char* place = reinterpret_cast<const char*>(static_cast<std::uintptr_t>(Payload(at)));
  std::uint32_t size = 0;
  std::memcpy(&size, place, sizeof size);
  return {place + sizeof size, size};
}

JsonCells::Index JsonCells::Next(Index at) const {
  if (Is(at, Tag::kArray) || Is(at, Tag::kObject)) return Payload(at);
  return at + (Is(at, Tag::kWide) || Is(at, Tag::kNegative) ? 2 : 1);
}

JsonCells::Index JsonCells::First(Index at) const {
  return at + 1;
}

template <class Json>
Json JsonCells::Copy(Index at, std::size_t values_max) const {
  return CopyWithin<Json>(at, &values_max);
}

template <class Json>
Json JsonCells::CopyWithin(Index at, std::size_t* values_left) const {
  *values_left -= *values_left > 0 ? 1 : 0;
  switch (type(at)) {
    case Type::kNull:
      return nullptr;
    case Type::kFalse:
      return false;
    case Type::kTrue:
      return true;
    case Type::kNumber:
      return Number(at);
    case Type::kPositive:
      return Positive(at);
    case Type::kNegative:
      return Negative(at);
    case Type::kString:
      return std::string(String(at).substr(0, *values_left));
    case Type::kArray: {
      Json array = Json::array();
      for (Index item = First(at); item != Next(at) && *values_left > 0; item = Next(item)) {
        array.push_back(CopyWithin<Json>(item, values_left));
      }
      return array;
    }
    case Type::kObject: {
      Json object = Json::object();
      for (Index key = First(at); key != Next(at) && *values_left > 0; key = Next(Next(key))) {
        object.emplace(std::string(String(key)), CopyWithin<Json>(Next(key), values_left));
      }
      return object;
    }
  }
  return nullptr;
}

template nlohmann::json JsonCells::Copy(Index, std::size_t) const;
template nlohmann::ordered_json JsonCells::Copy(Index, std::size_t) const;

}  // namespace dashf
