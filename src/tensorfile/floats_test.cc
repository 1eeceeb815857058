#include "tensorfile/floats.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace dashf::tensorfile {
namespace {

TEST(Floats, BFloat16IsTheNearestTiesToEven) {
  EXPECT_EQ(ToBFloat16(1.0F), 0x3F80);
  EXPECT_EQ(ToBFloat16(1.0F + 0x1p-8F), 0x3F80);            // Half way, down to even.
  EXPECT_EQ(ToBFloat16(1.0F + 0x1p-7F + 0x1p-8F), 0x3F82);  // Half way, up to even.
  EXPECT_EQ(ToBFloat16(-1.0F - 0x1.1p-8F), 0xBF81);
  for (std::uint32_t half = 0; half < 0x7F80; ++half) {  // Every finite positive one is itself.
    ASSERT_EQ(ToBFloat16(FromBFloat16(static_cast<std::uint16_t>(half))), half);
  }
}

TEST(Floats, Float16HasItsTabulatedValues) {
  EXPECT_EQ(FromFloat16(0x3C00), 1.0F);
  EXPECT_EQ(FromFloat16(0xC000), -2.0F);
  EXPECT_EQ(FromFloat16(0x7BFF), 65504.0F);  // The largest.
  EXPECT_EQ(FromFloat16(0x0400), 0x1p-14F);  // The smallest normal one.
  EXPECT_EQ(FromFloat16(0x0001), 0x1p-24F);  // The smallest.
  EXPECT_EQ(FromFloat16(0x3555), 0.333251953125F);
  EXPECT_TRUE(std::signbit(FromFloat16(0x8000)));
  EXPECT_TRUE(std::isinf(FromFloat16(0x7C00)));
  EXPECT_TRUE(std::isnan(FromFloat16(0x7E00)));
}

TEST(Floats, EveryFloatingFormatIsReadAndNothingElse) {
  const std::uint16_t halves[] = {0x3C00, 0xC000};
  const std::string_view bytes(reinterpret_cast<const char*>(halves), sizeof halves);
  EXPECT_THAT(*ReadFloats("t", {DType::kF16, {2}, bytes}, {2}),
              ::testing::ElementsAre(1.0F, -2.0F));
  EXPECT_EQ(ReadFloats("t", {DType::kBF16, {2}, bytes}, {2})->front(), FromBFloat16(0x3C00));
  const float one = 1.0F;
  const std::string_view whole(reinterpret_cast<const char*>(&one), sizeof one);
  EXPECT_THAT(*ReadFloats("t", {DType::kF32, {1}, whole}, {1}), ::testing::ElementsAre(1.0F));
  EXPECT_EQ(ReadFloats("t", {DType::kI32, {1}, whole}, {1}).error().Text(),
            "t: must be F32, F16 or BF16, got I32");
  EXPECT_EQ(ReadFloats("t", {DType::kF32, {1}, whole}, {1, 1}).error().Text(),
            "t: must have shape [1, 1], got [1]");
  const float infinite = INFINITY;
  const std::string_view bad(reinterpret_cast<const char*>(&infinite), sizeof infinite);
  EXPECT_EQ(ReadFloats("t", {DType::kF32, {1}, bad}, {1}).error().Text(),
            "t: has a value that is not finite");
}

}  // namespace
}  // namespace dashf::tensorfile
