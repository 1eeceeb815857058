#include "base/digest.h"

#include <gtest/gtest.h>

namespace dashf {
namespace {

TEST(Digest, Sha256OfAbcIsThePublishedVector) {  // FIPS 180-4, appendix B.1.
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, Crc32cOfTheCheckStringIsThePublishedValue) {  // RFC 3720, section B.4 polynomial.
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
}

// Bit by bit, at every length and alignment up to two words and a rest.
TEST(Digest, Crc32cIsTheReflectedPolynomialsRemainder) {
  std::string bytes;
  for (int i = 0; i < 40; ++i) bytes += static_cast<char>(i * 37 + 11);
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t size = 0; size <= 24; ++size) {
      std::uint32_t expected = 0xFFFFFFFFU;
      for (const char byte : bytes.substr(begin, size)) {
        expected ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit) {
          expected = (expected >> 1) ^ ((expected & 1U) != 0 ? 0x82F63B78U : 0U);
        }
      }
      EXPECT_EQ(Crc32c(std::string_view(bytes).substr(begin, size)), ~expected);
    }
  }
}

}  // namespace
}  // namespace dashf
