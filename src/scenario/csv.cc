#include "scenario/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace dashf {
namespace {

constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 40;
constexpr std::size_t kFieldBytesMax = 1 << 20;  // A quote that nothing ends is soon noticed.
constexpr std::size_t kFieldsMax = 1 << 20;

bool IsBlank(int c) {
  return c == ' ' || c == '\t';
}

// The most frequent separator of the first line that has anything, outside quotes.
char SeparatorOf(std::string_view text) {
  constexpr std::string_view kSeparators = ",;\t";
  std::size_t counts[kSeparators.size()] = {};
  bool quoted = false, anything = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if ((c == '\n' || c == '\r') && anything) break;
    anything |= c != '\n' && c != '\r';
    const auto which = kSeparators.find(c);
    if (which != std::string_view::npos) ++counts[which];
  }
  return kSeparators[static_cast<std::size_t>(std::max_element(counts, std::end(counts)) - counts)];
}

}  // namespace

Expected<CsvReader> CsvReader::Open(const std::string& path) {
  auto blocks = FileBlocks::Open(path, kBytesMax);
  if (!blocks) return tl::unexpected(blocks.error());
  CsvReader reader(path, std::move(*blocks));
  if (const auto skipped = reader.SkipMark(); !skipped) return tl::unexpected(skipped.error());
  return reader;
}

int CsvReader::Peek() {
  if (at_ == block_.size() && !failure_) {
    const auto block = blocks_.Next();
    if (!block) failure_ = block.error();
    block_ = block ? *block : std::string_view();
    at_ = 0;
  }
  return at_ < block_.size() ? static_cast<unsigned char>(block_[at_]) : kEnd;
}

int CsvReader::Take() {
  const int c = Peek();
  if (c == kEnd) return c;
  ++at_;
  ++column_;
  return c;
}

tl::unexpected<Error> CsvReader::Reject(std::size_t line,
                                        std::size_t column,
                                        std::string rule) const {
  return Fail(ErrorKind::kBadInput, fmt::format("{}:{}:{}", path_, line, column), std::move(rule));
}

std::string CsvReader::Place(const CsvField& field) const {
  return fmt::format("{}:{}:{}", path_, field.line, field.column);
}

Expected<void> CsvReader::SkipMark() {
  Peek();
  const std::string_view start(block_);
  if (start.starts_with("\xef\xbb\xbf")) at_ = 3;
  if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff")) {
    return Reject(1, 1, "must be UTF-8, is UTF-16 (iconv -f UTF-16 -t UTF-8 converts it)");
  }
  if (start.starts_with("PK\x03\x04")) {
    return Reject(1, 1, "must be text, is a ZIP archive or a spreadsheet: save it as CSV");
  }
  if (start.starts_with("\x93NUMPY")) {
    return Reject(1, 1, "must be text, is a NumPy array (whose name must end with .npy)");
  }
  if (start.starts_with("\x1f\x8b")) return Reject(1, 1, "must be text, is a gzip archive");
  return {};
}

// Reads on until the first line with anything is in the block, or 16 of them are.
Expected<void> CsvReader::SettleSeparator() {
  constexpr std::size_t kLookMax = std::size_t{1} << 20;
  Peek();
  while (!failure_ && block_.size() - at_ < kLookMax &&
         block_.find_first_of("\r\n", block_.find_first_not_of("\r\n", at_)) == std::string::npos) {
    const auto more = blocks_.Next();
    if (!more) return tl::unexpected(more.error());
    if (more->empty()) break;
    block_ += *more;
  }
  separator_ = SeparatorOf(std::string_view(block_).substr(at_));
  return {};
}

bool CsvReader::AtFieldEnd() {
  const int c = Peek();
  return c == kEnd || c == '\n' || c == '\r' || c == separator_;
}

void CsvReader::EndLine() {
  if (Take() == '\r' && Peek() == '\n') Take();
  ++line_;
  column_ = 1;
}

// From the quote that opens it to the one that closes it; a doubled quote stands for one.
Expected<void> CsvReader::ReadQuoted(CsvField* field) {
  field->quoted = true;
  Take();
  for (;;) {
    const int c = Peek();
    if (c == kEnd || field->text.size() > kFieldBytesMax) {
      if (failure_) return tl::unexpected(*failure_);
      return Reject(field->line, field->column, "a quoted field must end");
    }
    if (c == '\n' || c == '\r') {
      EndLine();
      field->text += '\n';
      continue;
    }
    Take();
    if (c == '"' && Peek() != '"') return {};
    if (c == '"') Take();
    field->text += static_cast<char>(c);
  }
}

Expected<void> CsvReader::ReadField(CsvField* field) {
  while (IsBlank(Peek()) && !AtFieldEnd()) Take();
  field->line = line_;
  field->column = column_;
  if (Peek() == '"') {
    if (auto read = ReadQuoted(field); !read) return read;
    while (IsBlank(Peek()) && !AtFieldEnd()) Take();
    if (AtFieldEnd()) return {};
    return Reject(line_, column_, "after a closing quote must come a separator or the line's end");
  }
  while (!AtFieldEnd()) {
    const int c = Take();
    if (c == '\0') return Reject(line_, column_ - 1, "must be text, has a byte 0");
    if (field->text.size() > kFieldBytesMax) {
      return Reject(field->line, field->column, "a field must be shorter than 1 MiB");
    }
    field->text += static_cast<char>(c);
  }
  while (!field->text.empty() && IsBlank(field->text.back())) field->text.pop_back();
  return {};
}

Expected<bool> CsvReader::Next(CsvRow* row) {
  if (separator_ == '\0') {
    if (const auto settled = SettleSeparator(); !settled) return tl::unexpected(settled.error());
  }
  for (;;) {
    row->clear();
    if (Peek() == kEnd) break;
    for (;;) {
      row->emplace_back();
      if (const auto read = ReadField(&row->back()); !read) return tl::unexpected(read.error());
      if (Peek() != separator_) break;
      if (row->size() == kFieldsMax) return Reject(line_, column_, "must have fewer fields");
      Take();
    }
    if (Peek() != kEnd) EndLine();
    const bool filled = std::any_of(row->begin(), row->end(), [](const CsvField& field) {
      return !field.text.empty() || field.quoted;
    });
    if (filled) break;
  }
  if (failure_) return tl::unexpected(*failure_);
  return !row->empty();
}

Expected<double> CsvReader::Number(const CsvField& field) const {
  std::string_view text = field.text;
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double number = std::nan("");
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (whole && std::isfinite(number)) return number;
  const bool comma = text.find(',') != std::string_view::npos;
  return Reject(field.line,
                field.column,
                fmt::format("must be a finite number{}, got \"{}\"",
                            comma ? " with a decimal point" : "",
                            field.text));
}

}  // namespace dashf
