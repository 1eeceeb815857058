#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/file.h"

namespace dashf {
namespace {

using nlohmann::json;

const json kNull;
constexpr int kDepthMax = 64;

std::string Shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::string RuleText(const NumberRule& rule) {
  const bool low = rule.low > std::numeric_limits<double>::lowest();
  const bool high = rule.high < std::numeric_limits<double>::max();
  if (low && high) return fmt::format("must be a number in [{}, {}]", rule.low, rule.high);
  if (low) return fmt::format("must be a number {} {}", rule.above ? ">" : ">=", rule.low);
  if (high) return fmt::format("must be a number <= {}", rule.high);
  return "must be a finite number";
}

// What a finished DOM has forgotten is checked before it is built: duplicate keys, and the depth,
// so that a hostile file cannot exhaust the stack. (The library's own parser callback would do, but
// takes quadratic time in the length of an array of objects.)
class StrictSyntax : public nlohmann::json_sax<json> {
 public:
  std::string problem;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return Enter();
  }
  bool end_object() override {
    keys_.pop_back();
    return Leave();
  }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& key) override {
    if (!keys_.back().insert(key).second) problem = fmt::format("duplicate key \"{}\"", key);
    return problem.empty();
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) override {
    // The library's text carries line and column; its own prefix "[json....] " says nothing here.
    const std::string text = e.what();
    const auto bracket = text.find("] ");
    problem = "not valid JSON: " + (bracket == std::string::npos ? text : text.substr(bracket + 2));
    return false;
  }

 private:
  bool Enter() {
    if (++depth_ > kDepthMax) {
      problem = fmt::format("must not nest deeper than {} levels", kDepthMax);
    }
    return problem.empty();
  }
  bool Leave() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;
};

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

Expected<JsonDocument> JsonDocument::Parse(std::string name, std::string_view bytes) {
  JsonDocument document;
  document.state_->name = name;
  StrictSyntax syntax;
  if (!json::sax_parse(bytes, &syntax)) {
    return Fail(ErrorKind::kBadInput, std::move(name), syntax.problem);
  }
  document.state_->json = json::parse(bytes);
  return document;
}

Expected<JsonDocument> JsonDocument::ReadFile(const std::string& path, std::uint64_t bytes_max) {
  auto bytes = dashf::ReadFile(path, bytes_max);
  if (!bytes) return tl::unexpected(bytes.error());
  return Parse(path, *bytes);
}

JsonReader JsonDocument::Root() const {
  return JsonReader(state_, &state_->json);
}

JsonReader JsonReader::Child(const json* value, std::string_view key, std::int64_t index) const {
  JsonReader child(state_, value);
  child.parent_ = this;
  child.key_ = key;
  child.index_ = index;
  return child;
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
  state_->error = Error{ErrorKind::kBadInput,
                        path.empty() ? state_->name : state_->name + ": " + path,
                        fmt::format("{}, got {}", rule, Shown(*value_))};
}

void JsonReader::Reject(std::string_view key, std::string_view rule) const {
  const auto it = value_->is_object() ? value_->find(key) : value_->end();
  Child(it == value_->end() ? &kNull : &*it, key, -1).Reject(rule);
}

bool JsonReader::Has(std::string_view key) const {
  return value_->is_object() && value_->contains(key);
}

bool JsonReader::HasValue(std::string_view key) {
  if (failed() || !Has(key)) return false;
  return !Find(key)->is_null();
}

const json* JsonReader::Find(std::string_view key) {
  if (failed()) return nullptr;
  if (!value_->is_object()) {
    Reject("must be an object");
    return nullptr;
  }
  asked_.emplace_back(key);
  const auto it = value_->find(key);
  if (it == value_->end()) {
    const std::string path = Path();
    state_->error = Error{ErrorKind::kBadInput,
                          path.empty() ? state_->name : state_->name + ": " + path,
                          fmt::format("missing key \"{}\"", key)};
    return nullptr;
  }
  return &*it;
}

double JsonReader::AsNumber(NumberRule rule) const {
  if (failed()) return rule.above ? 1.0 : std::max(0.0, rule.low);
  const double x = value_->is_number() ? value_->get<double>() : std::nan("");
  if (!(std::isfinite(x) && x <= rule.high && (rule.above ? x > rule.low : x >= rule.low))) {
    Reject(RuleText(rule));
  }
  return x;
}

std::int64_t JsonReader::AsInteger(std::int64_t low, std::int64_t high) const {
  if (failed()) return low;
  std::int64_t x = low;
  bool ok = value_->is_number_integer();
  if (ok && value_->is_number_unsigned()) {
    ok =
        value_->get<std::uint64_t>() <= static_cast<std::uint64_t>(std::max<std::int64_t>(high, 0));
  }
  if (ok) x = value_->get<std::int64_t>();
  if (!ok || x < low || x > high) {
    Reject(fmt::format("must be an integer in [{}, {}]", low, high));
    return low;
  }
  return x;
}

std::string JsonReader::AsString() const {
  if (failed()) return {};
  if (!value_->is_string()) {
    Reject("must be a string");
    return {};
  }
  return value_->get<std::string>();
}

std::vector<double> JsonReader::AsNumbers(NumberRule rule) const {
  std::vector<double> numbers;
  if (failed()) return numbers;
  if (!value_->is_array()) {
    Reject("must be an array of numbers");
    return numbers;
  }
  numbers.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size() && !failed(); ++i) {
    numbers.push_back(Child(&(*value_)[i], "", static_cast<std::int64_t>(i)).AsNumber(rule));
  }
  return numbers;
}

double JsonReader::Number(std::string_view key, NumberRule rule) {
  const json* value = Find(key);
  return Child(value ? value : &kNull, key, -1).AsNumber(rule);
}

std::int64_t JsonReader::Integer(std::string_view key, std::int64_t low, std::int64_t high) {
  const json* value = Find(key);
  return Child(value ? value : &kNull, key, -1).AsInteger(low, high);
}

bool JsonReader::Boolean(std::string_view key) {
  const json* value = Find(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) {
    Child(value, key, -1).Reject("must be true or false");
    return false;
  }
  return value->get<bool>();
}

std::string JsonReader::String(std::string_view key) {
  const json* value = Find(key);
  return Child(value ? value : &kNull, key, -1).AsString();
}

std::vector<double> JsonReader::Numbers(std::string_view key, NumberRule rule) {
  const json* value = Find(key);
  return Child(value ? value : &kNull, key, -1).AsNumbers(rule);
}

JsonReader JsonReader::Object(std::string_view key) {
  const json* value = Find(key);
  JsonReader child = Child(value ? value : &kNull, key, -1);
  if (!failed() && !value->is_object()) child.Reject("must be an object");
  return child;
}

void JsonReader::ForEach(const std::function<void(JsonReader)>& visit) const {
  if (failed()) return;
  if (!value_->is_array()) {
    Reject("must be an array");
    return;
  }
  for (std::size_t i = 0; i < value_->size() && !failed(); ++i) {
    visit(Child(&(*value_)[i], "", static_cast<std::int64_t>(i)));
  }
}

void JsonReader::ForEach(std::string_view key, const std::function<void(JsonReader)>& visit) {
  if (const json* value = Find(key)) Child(value, key, -1).ForEach(visit);
}

void JsonReader::ForEachMember(
    const std::function<void(const std::string&, JsonReader)>& visit) const {
  if (failed()) return;
  if (!value_->is_object()) {
    Reject("must be an object");
    return;
  }
  for (auto it = value_->begin(); it != value_->end() && !failed(); ++it) {
    visit(it.key(), Child(&it.value(), it.key(), -1));
  }
}

void JsonReader::ForEachMember(std::string_view key,
                               const std::function<void(const std::string&, JsonReader)>& visit) {
  if (const json* value = Find(key)) Child(value, key, -1).ForEachMember(visit);
}

void JsonReader::RejectUnknownKeys() const {
  if (failed() || !value_->is_object()) return;
  for (auto it = value_->begin(); it != value_->end(); ++it) {
    if (std::find(asked_.begin(), asked_.end(), it.key()) == asked_.end()) {
      Child(&it.value(), it.key(), -1).Reject("unknown key");
      return;
    }
  }
}

}  // namespace dashf
