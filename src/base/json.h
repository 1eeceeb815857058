// Strict JSON: every file of ours is read through this. A JsonReader walks one object; the first
// broken rule (duplicate or unknown key, wrong type, number out of range) is kept in the document
// and every later read returns a harmless default, so a parser reads straight down and asks once at
// the end. Errors name file, JSON path, rule and value.
//
//   auto document = JsonDocument::Parse("scenario.json", text);      // kBadInput on syntax errors
//   JsonReader root = document->Root();
//   double noise = root.Number("noise_density_w_per_hz", kPositive);
//   root.RejectUnknownKeys();
//   if (document->error()) return tl::unexpected(*document->error());
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_cells.h"

namespace dashf {

// What a number must satisfy: low <= x <= high, or low < x if `above`. Numbers are always finite.
struct NumberRule {
  double low = std::numeric_limits<double>::lowest();
  double high = std::numeric_limits<double>::max();
  bool above = false;
};
inline constexpr NumberRule kFinite{};
inline constexpr NumberRule kPositive{.low = 0.0, .above = true};
inline constexpr NumberRule kNonNegative{.low = 0.0};

// What one document may take of memory while it is read: eight bytes a number, strings as they are.
inline constexpr std::uint64_t kJsonMemoryMax = std::uint64_t{2} << 30;
inline constexpr std::uint64_t kJsonBytesMax = std::uint64_t{4} << 30;  // A file's size.

class JsonReader;

class JsonDocument {
 public:
  // `name` is the place that errors name (a file's path). `bytes` is the whole text.
  static Expected<JsonDocument> Parse(std::string name, std::string_view bytes);
  // Takes the file block by block and never holds its text; `sha256`, if given, becomes the digest
  // of its bytes in hexadecimal.
  static Expected<JsonDocument> ReadFile(const std::string& path,
                                         std::uint64_t bytes_max = kJsonBytesMax,
                                         std::string* sha256 = nullptr);

  // Readers need the document to stay.
  JsonReader Root() const;
  const std::optional<Error>& error() const { return state_->error; }

 private:
  friend class JsonReader;
  struct State {
    std::string name;
    JsonCells cells;
    std::optional<Error> error;
  };
  static Expected<JsonDocument> Parse(std::string name,
                                      const std::function<std::string_view()>& next);

  std::unique_ptr<State> state_ = std::make_unique<State>();
};

// A view of one value in a document. Readers refer to their parent for the path in errors, so a
// child must not outlive the reader it came from.
class JsonReader {
 public:
  // Members of an object. A missing key is an error unless the method says otherwise.
  bool Has(std::string_view key) const;
  bool HasValue(std::string_view key) const;  // Present and not null; both are then allowed.
  double Number(std::string_view key, NumberRule rule = kFinite);
  std::int64_t Integer(std::string_view key, std::int64_t low, std::int64_t high);
  bool Boolean(std::string_view key);
  std::string String(std::string_view key);
  std::vector<double> Numbers(std::string_view key, NumberRule rule = kFinite);
  // Nothing where the member is absent or null.
  std::optional<double> NumberIfAny(std::string_view key, NumberRule rule = kFinite);
  std::optional<std::int64_t> IntegerIfAny(std::string_view key,
                                           std::int64_t low,
                                           std::int64_t high);
  std::optional<std::string> StringIfAny(std::string_view key);
  JsonReader Object(std::string_view key);
  void ForEach(std::string_view key, const std::function<void(JsonReader)>& visit);  // An array.
  void ForEachMember(std::string_view key,
                     const std::function<void(const std::string&, JsonReader)>& visit);

  // This value itself, for array elements and documents that are an array or of free keys.
  void ForEach(const std::function<void(JsonReader)>& visit) const;
  void ForEachMember(const std::function<void(const std::string&, JsonReader)>& visit) const;
  double AsNumber(NumberRule rule = kFinite) const;
  std::int64_t AsInteger(std::int64_t low, std::int64_t high) const;
  std::string AsString() const;
  std::vector<double> AsNumbers(NumberRule rule = kFinite) const;

  void RejectUnknownKeys() const;                // Any key that no call has asked for.
  std::vector<std::string> UnaskedKeys() const;  // The same, for who takes them as they are.
  bool HasArray(std::string_view key) const;
  void Reject(std::string_view rule) const;
  void Reject(std::string_view key, std::string_view rule) const;
  bool failed() const { return state_->error.has_value(); }
  std::string Path() const;
  bool IsNull() const;
  nlohmann::json raw() const;                 // A copy, for what has no word here.
  nlohmann::ordered_json RawInOrder() const;  // The same, keys in the order of the text.

 private:
  friend class JsonDocument;
  using State = JsonDocument::State;
  static constexpr JsonCells::Index kMissing = std::numeric_limits<JsonCells::Index>::max();

  JsonReader(State* state, JsonCells::Index value) : state_(state), value_(value) {}
  JsonReader Child(JsonCells::Index value, std::string_view key, std::int64_t index) const;
  bool Is(JsonCells::Type type) const;
  JsonCells::Index KeyOf(std::string_view key) const;  // Its cell, or kMissing.
  JsonCells::Index Find(std::string_view key);         // The member's value, or a failure.
  bool Keeps(JsonCells::Index at, NumberRule rule, double* number) const;

  State* state_;
  JsonCells::Index value_;
  const JsonReader* parent_ = nullptr;
  std::string key_;
  std::int64_t index_ = -1;
};

// A document as text for people and tools: objects that hold structures get a line per member,
// arrays that hold structures a line per element. Numbers keep every bit.
std::string DumpRows(const nlohmann::ordered_json& document);

}  // namespace dashf
