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

}  // namespace
}  // namespace dashf
