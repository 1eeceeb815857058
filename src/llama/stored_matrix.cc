#include "llama/stored_matrix.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "llama/huge_pages.h"
#include "llama/vector_math.h"
#include "tensorfile/floats.h"

namespace dashf::llama {
namespace {

// Quantiles of the standard normal distribution, scaled to [-1, 1] with an exact 0 (QLoRA's
// appendix E prints them).
constexpr std::array<float, 16> kNf4Values = {-1.0F,
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

// Both numbers of each byte of codes, so that decoding looks up once for two.
using Pair = std::array<float, 2>;
std::array<Pair, 256> MakeNf4Pairs() {
  std::array<Pair, 256> pairs{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    pairs[byte] = {kNf4Values[byte & 15], kNf4Values[byte >> 4]};
  }
  return pairs;
}
const std::array<Pair, 256> kNf4Pairs = MakeNf4Pairs();

std::uint8_t NearestNf4(float value) {
  const auto above = std::lower_bound(kNf4Values.begin(), kNf4Values.end(), value);
  if (above == kNf4Values.begin()) return 0;
  if (above == kNf4Values.end()) return 15;
  const auto code = static_cast<std::uint8_t>(above - kNf4Values.begin());
  const bool lower = value - *(above - 1) < *above - value;
  return lower ? static_cast<std::uint8_t>(code - 1) : code;
}

// The least number that gets each code but the first: codes rise with the number, rounding of the
// differences included, so that counting the thresholds that it reaches gives the same code.
std::array<float, 15> MakeNf4Thresholds() {
  std::array<float, 15> thresholds{};
  for (std::size_t code = 1; code < kNf4Values.size(); ++code) {
    float below = kNf4Values[code - 1], reached = kNf4Values[code];
    for (;;) {
      const float middle = below + (reached - below) / 2;
      if (!(below < middle && middle < reached)) break;
      (NearestNf4(middle) >= code ? reached : below) = middle;
    }
    thresholds[code - 1] = reached;
  }
  return thresholds;
}
const std::array<float, 15> kNf4Thresholds = MakeNf4Thresholds();

DASHF_VECTORISED float LargestMagnitude(const float* values, std::int64_t count) {
  constexpr std::int64_t kLanes = 16;
  float largest[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const float magnitude = std::abs(values[i + lane]);
      largest[lane] = largest[lane] < magnitude ? magnitude : largest[lane];
    }
  }
  for (; i < count; ++i) largest[0] = std::max(largest[0], std::abs(values[i]));
  return *std::max_element(largest, largest + kLanes);
}

// codes[i] = round(values[i] / scale), ties to even, where |values[i]| <= 127 scale.
DASHF_VECTORISED void EncodeInt8(const float* values,
                                 std::int64_t count,
                                 float scale,
                                 std::uint8_t* codes) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer.
  for (std::int64_t i = 0; i < count; ++i) {
    const float code = (values[i] / scale + kRound) - kRound;
    codes[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(code));
  }
}

// codes[i] = NearestNf4(values[i] / scale).
DASHF_VECTORISED void EncodeNf4Block(const float* values,
                                     std::int64_t count,
                                     float scale,
                                     const float* thresholds,
                                     std::uint8_t* codes) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = values[i] / scale;
    int code = 0;
    for (int step = 0; step < 15; ++step) code += value >= thresholds[step] ? 1 : 0;
    codes[i] = static_cast<std::uint8_t>(code);
  }
}

// Of zeros, in huge pages.
template <class T>
void ResizeLarge(std::size_t count, std::vector<T>* values) {
  values->reserve(count);
  AskForHugePages(values->data(), count * sizeof(T));
  values->resize(count);
}

}  // namespace

StoredMatrix::StoredMatrix(Format format, std::int64_t rows, std::int64_t columns)
    : format_(format), rows_(rows), columns_(columns) {
  const auto count = static_cast<std::size_t>(rows * columns);
  if (format == Format::kFloat32) ResizeLarge(count, &floats_);
  if (format == Format::kBFloat16) ResizeLarge(count, &halves_);
  if (format == Format::kFloat32 || format == Format::kBFloat16) return;
  ResizeLarge(static_cast<std::size_t>(rows * CodesPerRow()), &codes_);
  row_scale_.resize(static_cast<std::size_t>(rows));
  if (format == Format::kNf4) block_max_.resize(static_cast<std::size_t>(rows * Blocks()));
}

std::size_t StoredMatrix::Bytes() const {
  return floats_.size() * sizeof(float) + halves_.size() * sizeof(std::uint16_t) + codes_.size() +
         block_max_.size() + row_scale_.size() * sizeof(float);
}

void StoredMatrix::AppendParts(std::vector<std::span<char>>* parts) {
  const auto append = [parts](auto& values) {
    const auto bytes = std::as_writable_bytes(std::span(values));
    parts->emplace_back(reinterpret_cast<char*>(bytes.data()), bytes.size());
  };
  append(floats_);
  append(halves_);
  append(codes_);
  append(block_max_);
  append(row_scale_);
}

std::size_t StoredMatrix::BytesOf(Format format, std::int64_t rows, std::int64_t columns) {
  std::int64_t row = 0;
  switch (format) {
    case Format::kFloat32:
      row = columns * 4;
      break;
    case Format::kBFloat16:
      row = columns * 2;
      break;
    case Format::kInt8:
      row = CodesOf(format, columns) + 4;
      break;
    case Format::kNf4:
      row = CodesOf(format, columns) + BlocksOf(columns) + 4;
      break;
  }
  return static_cast<std::size_t>(rows * row);
}

Matrix<const float> StoredMatrix::Floats() const {
  DASHF_CHECK(format_ == Format::kFloat32);
  return {floats_.data(), rows_, columns_};
}

Matrix<const std::uint16_t> StoredMatrix::Halves() const {
  DASHF_CHECK(format_ == Format::kBFloat16);
  return {halves_.data(), rows_, columns_};
}

void StoredMatrix::SetArithmetic(Arithmetic arithmetic) {
  DASHF_CHECK(arithmetic == Arithmetic::kFloat32 || format_ == Format::kBFloat16);
  arithmetic_ = arithmetic;
}

void StoredMatrix::Fill(std::int64_t first, ConstMatrix<float> values) {
  DASHF_CHECK(values.columns == columns_ && first >= 0 && first + values.rows <= rows_);
  for (std::int64_t i = 0; i < values.rows; ++i) {
    const float* const from = values.Row(i);
    const std::int64_t row = first + i;
    if (format_ == Format::kFloat32) {
      std::copy_n(from, columns_, floats_.begin() + row * columns_);
    } else if (format_ == Format::kBFloat16) {
      std::transform(
          from, from + columns_, halves_.begin() + row * columns_, tensorfile::ToBFloat16);
    } else if (format_ == Format::kInt8) {
      const float scale = LargestMagnitude(from, columns_) / 127.0F;
      row_scale_[static_cast<std::size_t>(row)] = scale;
      std::uint8_t* const codes = codes_.data() + row * columns_;
      if (scale > 0.0F) {
        EncodeInt8(from, columns_, scale, codes);
      } else {
        std::fill_n(codes, columns_, std::uint8_t{0});
      }
    } else {
      EncodeNf4(row, from);
    }
  }
}

void StoredMatrix::EncodeNf4(std::int64_t row, const float* values) {
  const float unit = LargestMagnitude(values, columns_) / 255.0F;
  row_scale_[static_cast<std::size_t>(row)] = unit;
  std::uint8_t* const codes = codes_.data() + row * CodesPerRow();
  for (std::int64_t block = 0; block < Blocks(); ++block) {
    const std::int64_t begin = block * kBlock, count = std::min(kBlock, columns_ - begin);
    const float largest = LargestMagnitude(values + begin, count);
    const float steps = unit > 0.0F ? std::nearbyint(largest / unit) : 0.0F;
    block_max_[static_cast<std::size_t>(row * Blocks() + block)] = static_cast<std::uint8_t>(steps);
    const float scale = steps * unit;
    std::array<std::uint8_t, kBlock> apart{};  // One code to a byte; 0 fills the last pair up.
    if (scale > 0.0F) {
      EncodeNf4Block(values + begin, count, scale, kNf4Thresholds.data(), apart.data());
    } else {
      std::fill_n(apart.begin(), count, NearestNf4(0.0F));
    }
    for (std::int64_t j = 0; j < count; j += 2) {
      const auto at = static_cast<std::size_t>(j);
      codes[(begin + j) / 2] = static_cast<std::uint8_t>(apart[at] | apart[at + 1] << 4);
    }
  }
}

template <class T>
void StoredMatrix::DecodeRow(std::int64_t row, T* out) const {
  switch (format_) {
    case Format::kFloat32:
      std::copy_n(floats_.begin() + row * columns_, columns_, out);
      return;
    case Format::kBFloat16:
      std::transform(halves_.begin() + row * columns_,
                     halves_.begin() + (row + 1) * columns_,
                     out,
                     tensorfile::FromBFloat16);
      return;
    case Format::kInt8: {
      const std::uint8_t* const codes = codes_.data() + row * columns_;
      const float scale = row_scale_[static_cast<std::size_t>(row)];
      for (std::int64_t j = 0; j < columns_; ++j) {
        out[j] = scale * static_cast<float>(static_cast<std::int8_t>(codes[j]));
      }
      return;
    }
    case Format::kNf4:
      break;
  }
  const std::uint8_t* codes = codes_.data() + row * CodesPerRow();
  const std::uint8_t* block_max = block_max_.data() + row * Blocks();
  for (std::int64_t begin = 0; begin < columns_; begin += kBlock, ++block_max) {
    const std::int64_t end = std::min(begin + kBlock, columns_);
    const float scale = row_scale_[static_cast<std::size_t>(row)] * *block_max;
    std::int64_t j = begin;
    for (; j + 1 < end; j += 2, ++codes) {
      const Pair& pair = kNf4Pairs[*codes];
      out[j] = scale * pair[0];
      out[j + 1] = scale * pair[1];
    }
    if (j < end) out[j] = scale * kNf4Pairs[*codes++][0];
  }
}

template <class T>
void StoredMatrix::Decode(std::int64_t first, Matrix<T> out) const {
  DASHF_CHECK(out.columns == columns_ && first >= 0 && first + out.rows <= rows_);
  for (std::int64_t i = 0; i < out.rows; ++i) DecodeRow(first + i, out.Row(i));
}

template void StoredMatrix::Decode<float>(std::int64_t, Matrix<float>) const;
template void StoredMatrix::Decode<double>(std::int64_t, Matrix<double>) const;

}  // namespace dashf::llama
