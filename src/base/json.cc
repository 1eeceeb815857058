#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/digest.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/printable.h"

namespace dashf {
namespace {

using nlohmann::json;
using Type = JsonCells::Type;

constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
constexpr std::size_t kShownBytesMax = 60;

// Of a value, however large, what an error shows.
std::string Shown(const JsonCells& cells, JsonCells::Index value) {
  const auto first = cells.Copy<nlohmann::ordered_json>(value, kShownBytesMax + 4);
  const std::string text = first.dump(-1, ' ', false, json::error_handler_t::replace);
  return Clipped(text, kShownBytesMax);
}

std::string RuleText(const NumberRule& rule) {
  const bool low = rule.low > std::numeric_limits<double>::lowest();
  const bool high = rule.high < std::numeric_limits<double>::max();
  if (low && high) return fmt::format("must be a number in [{}, {}]", rule.low, rule.high);
  if (low) return fmt::format("must be a number {} {}", rule.above ? ">" : ">=", rule.low);
  if (high) return fmt::format("must be a number <= {}", rule.high);
  return "must be a finite number";
}

// Of a key that is missing: one that is there and like it, though nobody has asked for it so far.
std::string LikeIt(std::string_view key, std::vector<std::string> unasked) {
  std::erase_if(unasked, [](const std::string& name) { return name.size() > kShownBytesMax; });
  const std::string near = Nearest(std::string(key), unasked);
  return near.empty() ? "" : fmt::format("; there is \"{}\"", PrintableLine(near));
}

std::string Compact(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void AppendRows(const nlohmann::ordered_json& value, std::size_t indent, std::string* text) {
  const bool holds_structure = std::any_of(
      value.begin(), value.end(), [](const auto& child) { return child.is_structured(); });
  if (!value.is_structured() || !holds_structure) {
    *text += Compact(value);
    return;
  }
  const std::string margin(indent + 2, ' ');
  *text += value.is_object() ? "{" : "[";
  std::string_view separator = "\n";
  for (const auto& item : value.items()) {
    *text += separator;
    *text += margin;
    if (value.is_object()) {
      *text += Compact(item.key()) + ": ";
      AppendRows(item.value(), indent + 2, text);
    } else {
      *text += Compact(item.value());
    }
    separator = ",\n";
  }
  *text += "\n" + std::string(indent, ' ') + (value.is_object() ? "}" : "]");
}

}  // namespace

std::string DumpRows(const nlohmann::ordered_json& document) {
  std::string text;
  AppendRows(document, 0, &text);
  return text + "\n";
}

Expected<JsonDocument> JsonDocument::Parse(std::string name,
                                           const std::function<std::string_view()>& next) {
  auto cells = JsonCells::Parse(next, kJsonMemoryMax);
  if (!cells) return Fail(ErrorKind::kBadInput, std::move(name), std::move(cells.error()));
  JsonDocument document;
  document.state_->name = std::move(name);
  document.state_->cells = std::move(*cells);
  return document;
}

Expected<JsonDocument> JsonDocument::Parse(std::string name, std::string_view bytes) {
  return Parse(std::move(name), [&bytes] {
    const std::string_view block = bytes.substr(0, kBlockBytes);
    bytes.remove_prefix(block.size());
    return block;
  });
}

Expected<JsonDocument> JsonDocument::ReadFile(const std::string& path,
                                              std::uint64_t bytes_max,
                                              std::string* sha256) {
  auto file = FileBlocks::Open(path, bytes_max);
  if (!file) return tl::unexpected(file.error());
  std::optional<Error> error;
  Sha256 digest;
  auto document = Parse(path, [&]() -> std::string_view {
    const auto block = file->Next();
    if (!block) {
      error = block.error();
      return {};
    }
    if (sha256 != nullptr) digest.Add(*block);
    return *block;
  });
  if (error) return tl::unexpected(*error);
  if (sha256 != nullptr) *sha256 = digest.Hex();
  return document;
}

JsonReader JsonDocument::Root() const {
  return JsonReader(state_.get(), 0);
}

JsonReader JsonReader::Child(JsonCells::Index value,
                             std::string_view key,
                             std::int64_t index) const {
  JsonReader child(state_, value);
  child.parent_ = this;
  child.key_ = key;
  child.index_ = index;
  return child;
}

bool JsonReader::Is(Type type) const {
  return value_ != kMissing && state_->cells.type(value_) == type;
}

bool JsonReader::IsNull() const {
  return Is(Type::kNull);
}

json JsonReader::raw() const {
  if (value_ == kMissing) return nullptr;
  return state_->cells.Copy<json>(value_, std::numeric_limits<std::size_t>::max());
}

nlohmann::ordered_json JsonReader::RawInOrder() const {
  if (value_ == kMissing) return nullptr;
  return state_->cells.Copy<nlohmann::ordered_json>(value_,
                                                    std::numeric_limits<std::size_t>::max());
}

std::string JsonReader::Path() const {
  if (parent_ == nullptr) return {};
  std::string path = parent_->Path();
  if (!key_.empty()) path += path.empty() ? key_ : "." + key_;
  if (index_ >= 0) path += fmt::format("[{}]", index_);
  return path;
}

void JsonReader::Reject(std::string_view rule) const {
  if (failed()) return;
  const std::string path = Path();
  state_->error = Error{
      ErrorKind::kBadInput,
      path.empty() ? state_->name : state_->name + ": " + path,
      fmt::format("{}, got {}", rule, value_ == kMissing ? "null" : Shown(state_->cells, value_))};
}

void JsonReader::Reject(std::string_view key, std::string_view rule) const {
  const JsonCells::Index at = KeyOf(key);
  Child(at == kMissing ? kMissing : state_->cells.Next(at), key, -1).Reject(rule);
}

JsonCells::Index JsonReader::KeyOf(std::string_view key) const {
  if (!Is(Type::kObject)) return kMissing;
  const JsonCells& cells = state_->cells;
  const JsonCells::Index end = cells.Next(value_);
  for (JsonCells::Index at = cells.First(value_); at != end; at = cells.Next(cells.Next(at))) {
    if (cells.String(at) == key) return at;
  }
  return kMissing;
}

bool JsonReader::Has(std::string_view key) const {
  return KeyOf(key) != kMissing;
}

bool JsonReader::HasValue(std::string_view key) const {
  const JsonCells::Index at = KeyOf(key);
  if (failed() || at == kMissing) return false;
  state_->cells.MarkAsked(at);
  return state_->cells.type(state_->cells.Next(at)) != Type::kNull;
}

bool JsonReader::HasArray(std::string_view key) const {
  const JsonCells::Index at = KeyOf(key);
  return at != kMissing && state_->cells.type(state_->cells.Next(at)) == Type::kArray;
}

std::optional<double> JsonReader::NumberIfAny(std::string_view key, NumberRule rule) {
  return HasValue(key) ? std::optional(Number(key, rule)) : std::nullopt;
}

std::optional<std::int64_t> JsonReader::IntegerIfAny(std::string_view key,
                                                     std::int64_t low,
                                                     std::int64_t high) {
  return HasValue(key) ? std::optional(Integer(key, low, high)) : std::nullopt;
}

std::optional<std::string> JsonReader::StringIfAny(std::string_view key) {
  return HasValue(key) ? std::optional(String(key)) : std::nullopt;
}

JsonCells::Index JsonReader::Find(std::string_view key) {
  if (failed()) return kMissing;
  if (!Is(Type::kObject)) {
    Reject("must be an object");
    return kMissing;
  }
  const JsonCells::Index at = KeyOf(key);
  if (at == kMissing) {
    const std::string path = Path();
    state_->error = Error{ErrorKind::kBadInput,
                          path.empty() ? state_->name : state_->name + ": " + path,
                          fmt::format("missing key \"{}\"{}", key, LikeIt(key, UnaskedKeys()))};
    return kMissing;
  }
  state_->cells.MarkAsked(at);
  return state_->cells.Next(at);
}

bool JsonReader::Keeps(JsonCells::Index at, NumberRule rule, double* number) const {
  const Type type = state_->cells.type(at);
  const bool is_number =
      type == Type::kNumber || type == Type::kPositive || type == Type::kNegative;
  *number = is_number ? state_->cells.Number(at) : std::nan("");
  return *number <= rule.high && (rule.above ? *number > rule.low : *number >= rule.low);
}

double JsonReader::AsNumber(NumberRule rule) const {
  double number = rule.above ? 1.0 : std::max(0.0, rule.low);
  if (failed()) return number;
  if (value_ == kMissing || !Keeps(value_, rule, &number)) Reject(RuleText(rule));
  return number;
}

std::int64_t JsonReader::AsInteger(std::int64_t low, std::int64_t high) const {
  if (failed()) return low;
  std::int64_t x = low;
  bool ok = Is(Type::kPositive) || Is(Type::kNegative);
  if (Is(Type::kNegative)) {
    x = state_->cells.Negative(value_);
  } else if (ok) {
    const std::uint64_t positive = state_->cells.Positive(value_);
    ok = positive <= static_cast<std::uint64_t>(std::max<std::int64_t>(high, 0));
    if (ok) x = static_cast<std::int64_t>(positive);
  }
  if (!ok || x < low || x > high) {
    Reject(fmt::format("must be an integer in [{}, {}]", low, high));
    return low;
  }
  return x;
}

std::string JsonReader::AsString() const {
  if (failed()) return {};
  if (!Is(Type::kString)) {
    Reject("must be a string");
    return {};
  }
  return std::string(state_->cells.String(value_));
}

std::vector<double> JsonReader::AsNumbers(NumberRule rule) const {
  std::vector<double> numbers;
  if (failed()) return numbers;
  if (!Is(Type::kArray)) {
    Reject("must be an array of numbers");
    return numbers;
  }
  const JsonCells& cells = state_->cells;
  const JsonCells::Index end = cells.Next(value_);
  numbers.reserve(end - cells.First(value_));
  for (JsonCells::Index at = cells.First(value_); at != end; at = cells.Next(at)) {
    double number = 0.0;
    if (!Keeps(at, rule, &number)) {
      Child(at, "", static_cast<std::int64_t>(numbers.size())).Reject(RuleText(rule));
      break;
    }
    numbers.push_back(number);
  }
  return numbers;
}

double JsonReader::Number(std::string_view key, NumberRule rule) {
  return Child(Find(key), key, -1).AsNumber(rule);
}

std::int64_t JsonReader::Integer(std::string_view key, std::int64_t low, std::int64_t high) {
  return Child(Find(key), key, -1).AsInteger(low, high);
}

bool JsonReader::Boolean(std::string_view key) {
  const JsonReader child = Child(Find(key), key, -1);
  const bool value = child.Is(Type::kTrue);
  if (!value && !child.Is(Type::kFalse)) child.Reject("must be true or false");
  return value;
}

std::string JsonReader::String(std::string_view key) {
  return Child(Find(key), key, -1).AsString();
}

std::vector<double> JsonReader::Numbers(std::string_view key, NumberRule rule) {
  return Child(Find(key), key, -1).AsNumbers(rule);
}

JsonReader JsonReader::Object(std::string_view key) {
  const JsonReader child = Child(Find(key), key, -1);
  if (!child.Is(Type::kObject)) child.Reject("must be an object");
  return child;
}

void JsonReader::ForEach(const std::function<void(JsonReader)>& visit) const {
  if (failed()) return;
  if (!Is(Type::kArray)) {
    Reject("must be an array");
    return;
  }
  const JsonCells& cells = state_->cells;
  const JsonCells::Index end = cells.Next(value_);
  std::int64_t i = 0;
  for (JsonCells::Index at = cells.First(value_); at != end && !failed(); at = cells.Next(at)) {
    visit(Child(at, "", i++));
  }
}

void JsonReader::ForEach(std::string_view key, const std::function<void(JsonReader)>& visit) {
  Child(Find(key), key, -1).ForEach(visit);
}

void JsonReader::ForEachMember(
    const std::function<void(const std::string&, JsonReader)>& visit) const {
  if (failed()) return;
  if (!Is(Type::kObject)) {
    Reject("must be an object");
    return;
  }
  const JsonCells& cells = state_->cells;
  std::vector<JsonCells::Index> keys;
  const JsonCells::Index end = cells.Next(value_);
  for (JsonCells::Index at = cells.First(value_); at != end; at = cells.Next(cells.Next(at))) {
    state_->cells.MarkAsked(at);
    keys.push_back(at);
  }
  std::sort(keys.begin(), keys.end(), [&cells](JsonCells::Index a, JsonCells::Index b) {
    return cells.String(a) < cells.String(b);
  });
  for (std::size_t i = 0; i < keys.size() && !failed(); ++i) {
    const std::string key(cells.String(keys[i]));
    visit(key, Child(cells.Next(keys[i]), key, -1));
  }
}

void JsonReader::ForEachMember(std::string_view key,
                               const std::function<void(const std::string&, JsonReader)>& visit) {
  Child(Find(key), key, -1).ForEachMember(visit);
}

std::vector<std::string> JsonReader::UnaskedKeys() const {
  std::vector<std::string> keys;
  if (failed() || !Is(Type::kObject)) return keys;
  const JsonCells& cells = state_->cells;
  const JsonCells::Index end = cells.Next(value_);
  for (JsonCells::Index at = cells.First(value_); at != end; at = cells.Next(cells.Next(at))) {
    if (!cells.Asked(at)) keys.emplace_back(cells.String(at));
  }
  return keys;
}

void JsonReader::RejectUnknownKeys() const {
  if (failed() || !Is(Type::kObject)) return;
  const JsonCells& cells = state_->cells;
  const JsonCells::Index end = cells.Next(value_);
  for (JsonCells::Index at = cells.First(value_); at != end; at = cells.Next(cells.Next(at))) {
    if (!cells.Asked(at)) {
      Child(cells.Next(at), cells.String(at), -1).Reject("unknown key");
      return;
    }
  }
}

}  // namespace dashf
