#include "llama/stored_matrix.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/rng.h"

namespace dashf::llama {
namespace {

constexpr std::int64_t kRows = 5,
                       kColumns = 150;  // Neither whole blocks nor whole bytes: 149, 150.

std::vector<float> NormalNumbers(std::int64_t count) {
  Rng rng(3);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(0.02 * rng.Normal());
  return values;
}

std::vector<float> Decoded(const StoredMatrix& stored) {
  std::vector<float> out(static_cast<std::size_t>(stored.rows() * stored.columns()));
  stored.Decode(0, Matrix<float>(out.data(), stored.rows(), stored.columns()));
  return out;
}

StoredMatrix Stored(Format format, const std::vector<float>& values, std::int64_t columns) {
  const std::int64_t rows = std::ssize(values) / columns;
  StoredMatrix stored(format, rows, columns);
  stored.Fill(0, {values.data(), rows, columns});
  return stored;
}

TEST(StoredMatrix, Float32IsKeptBitForBit) {
  const std::vector<float> values = NormalNumbers(kRows * kColumns);
  const StoredMatrix stored = Stored(Format::kFloat32, values, kColumns);
  EXPECT_EQ(Decoded(stored), values);
  EXPECT_EQ(stored.Bytes(), values.size() * 4);
}

TEST(StoredMatrix, BFloat16IsWithinItsRounding) {
  const std::vector<float> values = NormalNumbers(kRows * kColumns);
  const StoredMatrix stored = Stored(Format::kBFloat16, values, kColumns);
  const std::vector<float> decoded = Decoded(stored);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_LE(std::abs(decoded[i] - values[i]), std::abs(values[i]) * 0x1p-8F);
  }
  EXPECT_EQ(stored.Bytes(), values.size() * 2);
}

TEST(StoredMatrix, Int8IsWithinHalfAStepOfItsRow) {
  std::vector<float> values = NormalNumbers(kRows * kColumns);
  std::fill_n(values.begin() + kColumns, kColumns, 0.0F);  // A row of zeros stays one.
  const StoredMatrix stored = Stored(Format::kInt8, values, kColumns);
  const std::vector<float> decoded = Decoded(stored);
  for (std::int64_t row = 0; row < kRows; ++row) {
    const auto begin = values.begin() + row * kColumns;
    const float largest = std::abs(*std::max_element(
        begin, begin + kColumns, [](float a, float b) { return std::abs(a) < std::abs(b); }));
    for (auto i = static_cast<std::size_t>(row * kColumns); std::cmp_less(i, (row + 1) * kColumns);
         ++i) {
      EXPECT_LE(std::abs(decoded[i] - values[i]), 0.5001F * largest / 127.0F);
    }
  }
  EXPECT_EQ(stored.Bytes(), values.size() + kRows * 4);
}

// Halves of the widest gap between neighbouring values (0.304), plus the rounding of the block's
// largest magnitude.
TEST(StoredMatrix, Nf4IsWithinHalfTheWidestGapOfItsBlock) {
  for (const std::int64_t columns : {std::int64_t{149}, kColumns}) {
    std::vector<float> values = NormalNumbers(kRows * columns);
    std::fill_n(values.begin(), 64, 0.0F);
    const StoredMatrix stored = Stored(Format::kNf4, values, columns);
    const std::vector<float> decoded = Decoded(stored);
    const auto largest = [&](std::int64_t begin, std::int64_t end) {
      float found = 0.0F;
      for (std::int64_t i = begin; i < end; ++i) {
        found = std::max(found, std::abs(values[static_cast<std::size_t>(i)]));
      }
      return found;
    };
    double square = 0.0, error = 0.0;
    for (std::int64_t row = 0; row < kRows; ++row) {
      const std::int64_t begin = row * columns;
      for (std::int64_t j = 0; j < columns; ++j) {
        const std::int64_t block = j / 64 * 64;
        const float in_block = largest(begin + block, begin + std::min(block + 64, columns));
        const float in_row = largest(begin, begin + columns);
        const auto i = static_cast<std::size_t>(begin + j);
        EXPECT_LE(std::abs(decoded[i] - values[i]), 0.153F * in_block + in_row / 509.0F);
        square += values[i] * values[i];
        error += (decoded[i] - values[i]) * (decoded[i] - values[i]);
      }
    }
    EXPECT_LT(std::sqrt(error / square), 0.11);  // Normal numbers lose a tenth in the mean square.
    EXPECT_EQ(decoded[0], 0.0F);
    EXPECT_EQ(stored.Bytes(),
              static_cast<std::size_t>(kRows * ((columns + 1) / 2 + 3 + 4)));  // Codes, 3 blocks.
  }
}

// By the definition: between two neighbours the nearer one, the upper one if both are as near.
float NearestOfNf4(float value) {
  constexpr float kValues[] = {-1.0F,
                               -0.69619280F,
                               -0.52507305F,
                               -0.39491749F,
                               -0.28444138F,
                               -0.18477343F,
                               -0.09105004F,
                               0.0F,
                               0.07958030F,
                               0.16093020F,
                               0.24611230F,
                               0.33791524F,
                               0.44070983F,
                               0.56261700F,
                               0.72295684F,
                               1.0F};
  if (value <= -1.0F) return -1.0F;
  for (std::size_t i = 1; i < std::size(kValues); ++i) {
    if (value > kValues[i]) continue;
    return value - kValues[i - 1] < kValues[i] - value ? kValues[i - 1] : kValues[i];
  }
  return 1.0F;
}

// Every number within 4,096 steps of float32 of each midpoint and of each value, and some from all
// over, in blocks whose largest magnitude is 1.
TEST(StoredMatrix, Nf4TakesTheNearestValueBitForBit) {
  constexpr int kSteps = 4096, kBlock = 64;
  std::vector<float> numbers;
  const auto around = [&](float centre) {
    float at = centre;
    for (int i = 0; i < kSteps; ++i) at = std::nextafter(at, -2.0F);
    for (int i = 0; i <= 2 * kSteps; ++i, at = std::nextafter(at, 2.0F)) {
      if (std::abs(at) <= 1.0F) numbers.push_back(at);
    }
  };
  float before = -1.0F;
  for (int i = -1000; i <= 1000; ++i) {
    const float value = NearestOfNf4(static_cast<float>(i) / 1000.0F);
    if (value == before) continue;
    around((before + value) / 2);
    around(value);
    before = value;
  }
  ASSERT_GT(numbers.size(), 200'000U);  // 15 midpoints, 15 values.
  Rng rng(4);
  for (int i = 0; i < 100'000; ++i) numbers.push_back(static_cast<float>(2 * rng.Uniform() - 1));
  numbers.resize(numbers.size() / (kBlock - 1) * (kBlock - 1));
  std::vector<float> rows;  // Of one block each.
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i % (kBlock - 1) == 0) rows.push_back(1.0F);
    rows.push_back(numbers[i]);
  }
  const std::vector<float> decoded = Decoded(Stored(Format::kNf4, rows, kBlock));
  const float scale = 255.0F * (1.0F / 255.0F);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(decoded[i], scale * NearestOfNf4(rows[i] / scale)) << i << ": " << rows[i];
  }
}

// What computes on tiles sees the same numbers as what decodes everything.
TEST(StoredMatrix, TilesCoverAnyRangeOfRows) {
  constexpr std::int64_t kMany = 700;
  const std::vector<float> values = NormalNumbers(kMany * 3);
  for (const Format format : {Format::kFloat32, Format::kBFloat16, Format::kInt8, Format::kNf4}) {
    const StoredMatrix stored = Stored(format, values, 3);
    const std::vector<float> all = Decoded(stored);
    std::vector<double> seen(all.size(), -1.0);
    std::vector<double> scratch(static_cast<std::size_t>(StoredMatrix::ScratchElements(3)));
    stored.ForEachTile(10, 600, scratch.data(), [&](std::int64_t first, Matrix<const double> w) {
      std::copy_n(w.data, w.rows * 3, seen.begin() + (10 + first) * 3);
    });
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool within = 30 <= i && i < 1830;
      EXPECT_EQ(seen[i], within ? static_cast<double>(all[i]) : -1.0);
    }
  }
}

}  // namespace
}  // namespace dashf::llama
