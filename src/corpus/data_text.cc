#include "corpus/data_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string>
#include <vector>

#include "base/file_kind.h"
#include "base/printable.h"
#include "base/utf8.h"

namespace dashf::corpus {
namespace {

constexpr std::string_view kOtherwise = "or say that it is plain text: --format text";

// The first line and what follows it.
std::pair<std::string_view, std::string_view> FirstLine(std::string_view text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  while (line.ends_with('\r')) line.remove_suffix(1);
  return {line, end == std::string_view::npos ? std::string_view() : text.substr(end + 1)};
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(
      lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

bool IsHtml(std::string_view text) {
  const std::string head = Lower(text.substr(0, 200));
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return false;
  const std::string_view begin = std::string_view(head).substr(first);
  return begin.starts_with("<!doctype html") || begin.starts_with("<html");
}

// A first line of at least two columns' names, one of which is a name that data files use.
bool IsTable(std::string_view text) {
  constexpr std::array<std::string_view, 12> kNames = {"instruction",
                                                       "input",
                                                       "output",
                                                       "prompt",
                                                       "completion",
                                                       "response",
                                                       "question",
                                                       "answer",
                                                       "text",
                                                       "messages",
                                                       "conversations",
                                                       "label"};
  const auto [line, rest] = FirstLine(text);
  if (rest.empty()) return false;
  for (const char separator : {',', '\t', ';'}) {
    std::size_t columns = 0;
    bool named = false, plain = true;
    for (std::string_view left = line;;) {
      const std::size_t end = left.find(separator);
      std::string column = Lower(left.substr(0, end));
      std::erase_if(column, [](char c) { return c == '"' || c == ' '; });
      plain = plain && std::ranges::all_of(column, [](unsigned char c) {
                return std::isalnum(c) != 0 || c == '_' || c == '-';
              });
      named = named || std::ranges::find(kNames, column) != kNames.end();
      ++columns;
      if (end == std::string_view::npos) break;
      left.remove_prefix(end + 1);
    }
    if (columns >= 2 && plain && named) return true;
  }
  return false;
}

// The cells of a table's line; separators between quotes are text.
std::vector<std::string> CellsOf(std::string_view line, char separator) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == separator && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

bool IsNumber(const std::string& cell) {
  const char* const end = cell.data() + cell.size();
  const char* begin = cell.data();
  while (begin != end && *begin == ' ') ++begin;
  double number = 0.0;
  const auto [rest, error] = std::from_chars(begin, end, number);
  return error == std::errc() && begin != end &&
         std::all_of(rest, end, [](char c) { return c == ' '; });
}

// Two columns at least in each of the first lines, one of which holds numbers below its name.
bool IsTableOfNumbers(std::string_view text) {
  constexpr std::size_t kLinesLooked = 20, kLinesMin = 3;
  for (const char separator : {',', '\t', ';'}) {
    std::vector<bool> numbers;  // By column.
    std::size_t lines = 0;
    for (std::string_view rest = text; !rest.empty() && lines < kLinesLooked; ++lines) {
      const auto [line, behind] = FirstLine(rest);
      rest = behind;
      if (line.empty() && rest.empty()) break;
      const std::vector<std::string> cells = CellsOf(line, separator);
      if (lines == 0) numbers.assign(cells.size(), cells.size() >= 2);
      if (cells.size() != numbers.size()) {
        numbers.clear();
        break;
      }
      for (std::size_t i = 0; i < cells.size() && lines > 0; ++i) {
        numbers[i] = numbers[i] && IsNumber(cells[i]);
      }
    }
    if (lines >= kLinesMin && std::ranges::find(numbers, true) != numbers.end()) return true;
  }
  return false;
}

// Whether an object, or an array of objects, begins here.
bool BeginsRecords(std::string_view text) {
  const auto skip = [&text] {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  };
  skip();
  if (text.starts_with('[')) {
    text.remove_prefix(1);
    skip();
  }
  if (!text.starts_with('{')) return false;
  text.remove_prefix(1);
  skip();
  return text.starts_with('"');
}

// Lines that are none of JSON's, as comments are, before records begin. Empty: it is not so.
std::string_view LineBeforeRecords(std::string_view text) {
  std::string_view first;
  while (!text.empty()) {
    const auto [line, rest] = FirstLine(text);
    if (line.find_first_not_of(" \t") != std::string_view::npos) {
      if (BeginsRecords(text)) return first;
      if (!line.starts_with('#') && !line.starts_with("//")) return {};
      if (first.empty()) first = line;
    }
    text = rest;
  }
  return {};
}

tl::unexpected<Error> Refuse(const std::string& name, std::string rule) {
  return Fail(ErrorKind::kBadInput, name, std::move(rule));
}

}  // namespace

Expected<std::string_view> TextOf(const std::string& name, std::string_view bytes) {
  if (auto kind = ForeignKind(name, bytes)) return Refuse(name, std::move(*kind));
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (bytes.find('\0') != std::string_view::npos) {
    return Refuse(name, "is binary: it holds bytes of value 0; data are text, JSON or JSON lines");
  }
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const std::size_t size = CharacterBytes(rest);
    if (size == 0) {
      return Refuse(
          name,
          fmt::format("byte {} is not UTF-8; if the text is Latin-1, convert it: iconv -f latin1 "
                      "-t utf-8 '{}'",
                      bytes.size() - rest.size(),
                      name));
    }
    rest.remove_prefix(size);
  }
  return bytes;
}

Expected<void> CheckProse(const std::string& name, std::string_view text) {
  if (IsHtml(text)) {
    return Refuse(
        name, fmt::format("is a page in HTML, not data; download the file itself, {}", kOtherwise));
  }
  if (IsTable(text) || IsTableOfNumbers(text)) {
    return Refuse(name,
                  fmt::format("is a table (CSV); convert it: python3 -c \"import pandas; "
                              "pandas.read_csv('{}', sep=None, engine='python')"
                              ".to_json('data.jsonl', orient='records', lines=True)\", {}",
                              name,
                              kOtherwise));
  }
  if (const std::string_view line = LineBeforeRecords(text); !line.empty()) {
    return Refuse(name,
                  fmt::format("has \"{}\" before its JSON records, which have no comments; take "
                              "such lines out, {}",
                              Clipped(line, 60),
                              kOtherwise));
  }
  return {};
}

}  // namespace dashf::corpus
