#include "scenario/csv.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace dashf {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string Write(std::string_view bytes) {
  const std::string path = ::testing::TempDir() + "/table.csv";
  EXPECT_TRUE(WriteFileAtomically(path, bytes));
  return path;
}

Expected<Rows> Read(std::string_view bytes) {
  auto reader = CsvReader::Open(Write(bytes));
  if (!reader) return tl::unexpected(reader.error());
  Rows rows;
  for (CsvRow row;;) {
    const auto more = reader->Next(&row);
    if (!more) return tl::unexpected(more.error());
    if (!*more) return rows;
    rows.emplace_back();
    for (const CsvField& field : row) rows.back().push_back(field.text);
  }
}

TEST(Csv, ReadsTheSameTableWhateverSeparatesFieldsAndEndsLines) {
  const Rows expected = {{"id", "lat", "lon"}, {"a", "-37.8", "144.9"}, {"b", "1", "2"}};
  for (const std::string_view text : {"id,lat,lon\na,-37.8,144.9\nb,1,2\n",
                                      "id;lat;lon\r\na;-37.8;144.9\r\nb;1;2",
                                      "id\tlat\tlon\ra\t-37.8\t144.9\rb\t1\t2\r",
                                      "\xef\xbb\xbfid,lat,lon\na,-37.8,144.9\n\nb,1,2\n\n\n",
                                      "\n\nid ; lat ; lon \n  a; -37.8 ; 144.9\n;;\nb;1;2\n",
                                      "\"id\", \"lat\" ,\"lon\"\n\"a\",\"-37.8\",144.9\nb,1,2"}) {
    EXPECT_EQ(Read(text).value(), expected) << text;
  }
}

TEST(Csv, QuotesKeepSeparatorsLineEndsAndQuotes) {
  EXPECT_EQ(Read("id,name\n1,\"a, \"\"b\"\"\nc \"\n").value(),
            (Rows{{"id", "name"}, {"1", "a, \"b\"\nc "}}));
  // A comma within quotes does not make commas the separator.
  EXPECT_EQ(Read("\"a,b,c\";d\n1;2\n").value(), (Rows{{"a,b,c", "d"}, {"1", "2"}}));
}

TEST(Csv, AFieldMayCrossTheReadersBlocks) {
  const std::string longest(200000, 'x');
  EXPECT_EQ(Read("a,b\n" + longest + ",\"" + longest + "\"\n").value(),
            (Rows{{"a", "b"}, {longest, longest}}));
}

TEST(Csv, SaysWhereAFieldBegins) {
  auto reader = CsvReader::Open(Write("a,b\n\"x\ny\", 7\n")).value();
  CsvRow row;
  ASSERT_TRUE(reader.Next(&row).value() && reader.Next(&row).value());
  EXPECT_EQ(reader.Place(row[0]), reader.path() + ":2:1");
  EXPECT_EQ(reader.Place(row[1]), reader.path() + ":3:5");
}

TEST(Csv, RefusesWhatIsNoTable) {
  for (const auto& [text, rule] : std::vector<std::pair<std::string, std::string>>{
           {"a,b\n1,\"2\n", "table.csv:2:3: a quoted field must end"},
           {"a,b\n1,\"2\"3\n", "table.csv:2:6: after a closing quote must come"},
           {std::string("a,b\n1,2\0\n", 9), "table.csv:2:4: must be text, has a byte 0"},
           {"\xff\xfe"
            "a",
            "is UTF-16"},
           {"PK\x03\x04", "is a ZIP archive or a spreadsheet"}}) {
    const auto rows = Read(text);
    ASSERT_FALSE(rows) << text;
    EXPECT_EQ(rows.error().kind, ErrorKind::kBadInput);
    EXPECT_NE(rows.error().Text().find(rule), std::string::npos) << rows.error().Text();
  }
  EXPECT_EQ(CsvReader::Open("/no/such.csv").error().kind, ErrorKind::kIo);
}

TEST(Csv, NumbersAreFiniteAndHaveADecimalPoint) {
  auto reader = CsvReader::Open(Write("a\n")).value();
  const auto number = [&](std::string text) {
    return reader.Number({.text = std::move(text), .quoted = false, .line = 2, .column = 9});
  };
  EXPECT_EQ(number("+37.8").value(), 37.8);
  EXPECT_EQ(number("-1e-3").value(), -1e-3);
  for (const char* bad : {"", "nan", "inf", "1e999", "37,8", "0x1p3z", "1 2", "+-3", "--3", "3m"}) {
    const auto refused = number(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_NE(refused.error().Text().find("table.csv:2:9: must be a finite number"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace dashf
