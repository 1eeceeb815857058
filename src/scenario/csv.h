// Tables as text, row by row: RFC 4180 and what spreadsheets make of it. Separated by commas,
// semicolons or tabs (whichever the header has most of), with or without a byte-order mark, blanks
// around fields, quotes, and CR, LF or CRLF at the ends of lines. Memory does not grow with the
// file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace dashf {

struct CsvField {
  std::string text;  // Without quotes and the blanks around it.
  bool quoted = false;
  std::size_t line = 0, column = 0;  // Where it begins, both from 1; columns are bytes.
};
using CsvRow = std::vector<CsvField>;

class CsvReader {
 public:
  // kIo, or kBadInput for what is no text.
  static Expected<CsvReader> Open(const std::string& path);

  // The next row that is not empty, false at the end. The first one settles the separator. kIo, or
  // kBadInput with the place.
  Expected<bool> Next(CsvRow* row);
  std::size_t line() const { return line_; }  // That it has come to.
  const std::string& path() const { return path_; }

  // "sites.csv:3:14".
  std::string Place(const CsvField& field) const;
  // A finite number, whose decimal sign is a point; a plus sign may stand before it. kBadInput.
  Expected<double> Number(const CsvField& field) const;

 private:
  CsvReader(std::string path, FileBlocks blocks)
      : path_(std::move(path)), blocks_(std::move(blocks)) {}
  static constexpr int kEnd = -1;

  int Peek();  // The next byte, or kEnd: also where the file cannot be read on, see failure_.
  int Take();
  tl::unexpected<Error> Reject(std::size_t line, std::size_t column, std::string rule) const;
  Expected<void> SkipMark();
  Expected<void> SettleSeparator();
  Expected<void> ReadField(CsvField* field);
  Expected<void> ReadQuoted(CsvField* field);
  bool AtFieldEnd();
  void EndLine();

  std::string path_;
  FileBlocks blocks_;
  std::string block_;  // Not yet taken from at_ on.
  std::size_t at_ = 0;
  std::size_t line_ = 1, column_ = 1;
  char separator_ = '\0';  // Not settled yet.
  std::optional<Error> failure_;
};

}  // namespace dashf
