#include "base/printable.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace dashf {
namespace {

TEST(Printable, WhatMovesATerminalIsEscaped) {
  EXPECT_EQ(Printable("plain, \xC3\xA4\xE2\x82\xAC\n\ttext"),
            "plain, \xC3\xA4\xE2\x82\xAC\n\ttext");
  EXPECT_EQ(Printable("a\x1B[2Jb\r\x7F"), "a\\x1b[2Jb\\x0d\\x7f");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m"),
            "\\xc2\\x9b31m");  // C1's own CSI.
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Printable("\xC3"), "\\xc3");
}

TEST(Printable, ALineStaysOne) {
  EXPECT_EQ(PrintableLine("a\nb\tc \xC3\xA4\x1B[2J"), "a\\x0ab\\x09c \xC3\xA4\\x1b[2J");
  EXPECT_EQ(PrintableLine(""), "");
}

TEST(Clipped, CharactersStayWhole) {
  EXPECT_EQ(Clipped("short", 5), "short");
  EXPECT_EQ(Clipped("longer", 5), "lo...");
  const std::string euros = "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC";
  for (std::size_t bytes_max = 3; bytes_max < 9; ++bytes_max) {
    const std::string clipped = Clipped(euros, bytes_max);
    EXPECT_LE(clipped.size(), bytes_max);
    EXPECT_TRUE(IsUtf8(clipped)) << bytes_max;
  }
}

}  // namespace
}  // namespace dashf
