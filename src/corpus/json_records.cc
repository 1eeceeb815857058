#include "corpus/json_records.h"

#include <fmt/format.h>

#include <algorithm>

#include "corpus/sample_reader.h"

namespace dashf::corpus {
namespace {

using Visit = std::function<void(JsonReader)>;

// An array's records, those of one that an object wraps as "data", or one that is alone.
Expected<std::size_t> VisitDocument(const JsonDocument& document, bool array, const Visit& visit) {
  constexpr std::string_view kRecordKeys[] = {
      "instruction", "messages", "conversations", "prompt", "text"};
  JsonReader root = document.Root();
  std::size_t records = 0;
  const auto count_and_visit = [&](JsonReader object) {
    ++records;
    if (!object.failed()) visit(object);
  };
  if (array && BeginsWithMessage(root)) {
    count_and_visit(root);  // One conversation.
  } else if (array) {
    root.ForEach(count_and_visit);
  } else if (root.HasArray("data") && std::ranges::none_of(kRecordKeys, [&](std::string_view key) {
               return root.Has(key);
             })) {
    root.ForEach("data", count_and_visit);
  } else {
    count_and_visit(root);
  }
  if (document.error()) return tl::unexpected(*document.error());
  return records;
}

Expected<std::size_t> VisitLines(const std::string& name,
                                 std::string_view text,
                                 const Visit& visit) {
  std::size_t records = 0;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::string_view object = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(object.size() + 1, text.size()));
    if (object.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto document = JsonDocument::Parse(fmt::format("{}: line {}", name, line), object);
    if (!document) return tl::unexpected(document.error());
    visit(document->Root());
    if (document->error()) return tl::unexpected(*document->error());
    ++records;
  }
  return records;
}

// Whether the next line that is not empty is an object by itself.
bool BeginsWithObject(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  const std::string_view line = text.substr(0, text.find('\n'));
  return line.starts_with('{') && JsonDocument::Parse("", line).has_value();
}

// Text that begins with '{': lines of one object each, or one object.
Expected<std::size_t> VisitObjects(const std::string& name,
                                   std::string_view text,
                                   const Visit& visit) {
  std::string_view line = text.substr(text.find('{'));
  line = line.substr(0, line.find('\n'));
  const std::size_t end = static_cast<std::size_t>(line.data() - text.data()) + line.size();
  const bool alone = text.find_first_not_of(" \t\r\n", end) == std::string_view::npos;
  if (!alone && JsonDocument::Parse(name, line)) return VisitLines(name, text, visit);
  const auto document = JsonDocument::Parse(name, text);
  if (document) return VisitDocument(*document, /*array=*/false, visit);
  const std::size_t last = line.find_last_not_of(" \t\r");
  const bool meant_as_lines = !alone && (line[last] == '}' || BeginsWithObject(text.substr(end)));
  if (meant_as_lines) return VisitLines(name, text, visit);  // Which tells the line.
  return Fail(
      document.error().kind,
      document.error().where,
      document.error().message + "; records are lines of one object each, an array, or one object");
}

// How many.
Expected<std::size_t> VisitAll(const std::string& name, std::string_view text, const Visit& visit) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return std::size_t{0};
  if (text[first] == '{') return VisitObjects(name, text, visit);
  if (text[first] != '[') return VisitLines(name, text, visit);
  const auto document = JsonDocument::Parse(name, text);
  if (!document) return tl::unexpected(document.error());
  return VisitDocument(*document, /*array=*/true, visit);
}

}  // namespace

Expected<void> ForEachJsonRecord(const std::string& name,
                                 std::string_view text,
                                 const Visit& visit) {
  const auto records = VisitAll(name, text, visit);
  if (!records) return tl::unexpected(records.error());
  if (*records == 0) return Fail(ErrorKind::kBadInput, name, "holds no record");
  return {};
}

}  // namespace dashf::corpus
