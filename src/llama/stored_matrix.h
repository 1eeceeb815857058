// A frozen weight in memory, in as few bits as its owner wants, and back as numbers to compute
// with.
//
//   format     bits per weight     what a weight becomes
//   kFloat32   32                  itself
//   kBFloat16  16                  the nearest bfloat16, ties to even: relative error <= 2^-8
//   kInt8      8 + 32 / columns    round(w / s) s with s = max|row| / 127: error <= s / 2
//   kNf4       4 + 8 / 64 + small  the nearest of 16 quantiles of the normal distribution, times
//   the
//                                  largest magnitude of its block of 64 (QLoRA, Dettmers et al.
//                                  2023, arXiv:2305.14314); that magnitude itself is stored in 8
//                                  bits, as m / 255 of the row's largest block: error <= 0.153 of
//                                  the block's largest magnitude, and up to 1 / 510 of the row's
//
// Blocks never cross rows, so any range of rows can be decoded alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "llama/matrix.h"

namespace dashf::llama {

enum class Format { kFloat32, kBFloat16, kInt8, kNf4 };

// In which numbers it is multiplied: as float32, or as it is kept, with what it is multiplied by
// rounded to bfloat16 and products summed in float32. kBFloat16 is for matrices kept in bfloat16.
enum class Arithmetic { kFloat32, kBFloat16 };

class StoredMatrix {
 public:
  StoredMatrix() = default;
  // Room for (rows, columns), to be filled row by row.
  StoredMatrix(Format format, std::int64_t rows, std::int64_t columns);

  // Encodes rows first..first + values.rows - 1.
  void Fill(std::int64_t first, ConstMatrix<float> values);
  // Decodes rows first..first + out.rows - 1.
  template <class T>
  void Decode(std::int64_t first, Matrix<T> out) const;

  // Calls visit(first, w), first counted from `begin`, with the rows begin..begin + count - 1 as
  // matrices of T, a few at a time. Float32 is read in place; what has to be decoded passes through
  // `scratch`, of ScratchElements(columns).
  template <class T, class Visit>
  void ForEachTile(std::int64_t begin, std::int64_t count, T* scratch, Visit visit) const {
    if constexpr (std::is_same_v<T, float>) {
      if (format_ == Format::kFloat32) {
        visit(std::int64_t{0},
              Matrix<const float>(floats_.data() + begin * columns_, count, columns_));
        return;
      }
    }
    for (std::int64_t first = 0; first < count; first += kTileRows) {
      const Matrix<T> tile(scratch, std::min(kTileRows, count - first), columns_);
      Decode(begin + first, tile);
      visit(first, Matrix<const T>(tile));
    }
  }
  static std::int64_t ScratchElements(std::int64_t columns) { return kTileRows * columns; }

  Format format() const { return format_; }
  Arithmetic arithmetic() const { return arithmetic_; }
  void SetArithmetic(Arithmetic arithmetic);
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  std::size_t Bytes() const;
  // Appends the memory that holds the numbers as they are kept; its sizes follow from the format
  // and the shape.
  void AppendParts(std::vector<std::span<char>>* parts);
  // Bytes() of a matrix that is not there.
  static std::size_t BytesOf(Format format, std::int64_t rows, std::int64_t columns);
  // Of kFloat32 alone: the numbers themselves.
  Matrix<const float> Floats() const;
  // Of kBFloat16 alone: the upper halves of the float32 numbers.
  Matrix<const std::uint16_t> Halves() const;

 private:
  static constexpr std::int64_t kTileRows = 256;  // A tile of 1,024 columns fills 1 MiB of cache.

  // Of a row.
  static std::int64_t BlocksOf(std::int64_t columns) { return (columns + kBlock - 1) / kBlock; }
  static std::int64_t CodesOf(Format format, std::int64_t columns) {
    return format == Format::kInt8 ? columns : (columns + 1) / 2;
  }
  std::int64_t Blocks() const { return BlocksOf(columns_); }
  std::int64_t CodesPerRow() const { return CodesOf(format_, columns_); }
  template <class T>
  void DecodeRow(std::int64_t row, T* out) const;
  void EncodeNf4(std::int64_t row, const float* values);

  static constexpr std::int64_t kBlock = 64;
  Format format_ = Format::kFloat32;
  Arithmetic arithmetic_ = Arithmetic::kFloat32;
  std::int64_t rows_ = 0, columns_ = 0;
  std::vector<float> floats_;
  std::vector<std::uint16_t> halves_;    // bfloat16: the upper half of a float32.
  std::vector<std::uint8_t> codes_;      // int8, or two NF4 codes to a byte, the first one low.
  std::vector<std::uint8_t> block_max_;  // NF4: (rows, Blocks()), in 1 / 255 of the row's largest.
  std::vector<float> row_scale_;         // int8: s; NF4: the row's largest magnitude / 255.
};

}  // namespace dashf::llama
