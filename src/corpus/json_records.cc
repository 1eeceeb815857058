#include "corpus/json_records.h"

#include <fmt/format.h>

#include <algorithm>

namespace dashf::corpus {
namespace {

Expected<std::size_t> VisitArray(const std::string& name,
                                 std::string_view bytes,
                                 const std::function<void(JsonReader)>& visit) {
  auto document = JsonDocument::Parse(name, bytes);
  if (!document) return tl::unexpected(document.error());
  std::size_t records = 0;
  document->Root().ForEach([&](JsonReader object) {
    ++records;
    if (!object.failed()) visit(object);
  });
  if (document->error()) return tl::unexpected(*document->error());
  return records;
}

Expected<std::size_t> VisitLines(const std::string& name,
                                 std::string_view bytes,
                                 const std::function<void(JsonReader)>& visit) {
  std::size_t records = 0;
  for (std::size_t line = 1; !bytes.empty(); ++line) {
    const std::string_view text = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(std::min(text.size() + 1, bytes.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto document = JsonDocument::Parse(fmt::format("{}: line {}", name, line), text);
    if (!document) return tl::unexpected(document.error());
    visit(document->Root());
    if (document->error()) return tl::unexpected(*document->error());
    ++records;
  }
  return records;
}

}  // namespace

Expected<void> ForEachJsonRecord(const std::string& name,
                                 std::string_view bytes,
                                 const std::function<void(JsonReader)>& visit) {
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  const bool array = first != std::string_view::npos && bytes[first] == '[';
  const auto records = array ? VisitArray(name, bytes, visit) : VisitLines(name, bytes, visit);
  if (!records) return tl::unexpected(records.error());
  if (*records == 0) return Fail(ErrorKind::kBadInput, name, "holds no record");
  return {};
}

}  // namespace dashf::corpus
