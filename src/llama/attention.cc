#include "llama/attention.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "llama/softmax.h"

namespace dashf::llama {
namespace {

// Some queries of one sequence, and the keys that the last of them sees.
struct Block {
  std::int64_t first_query = 0, queries = 0;
  std::int64_t first_key = 0, keys = 0;
};

template <class Visit>
void ForEachBlock(std::span<const AttentionRows> sequences,
                  std::span<const int> positions,
                  Visit visit) {
  for (const AttentionRows& rows : sequences) {
    for (std::int64_t done = 0; done < rows.queries; done += kQueriesAtOnce) {
      const std::int64_t count = std::min(kQueriesAtOnce, rows.queries - done);
      const std::int64_t last = rows.first_query + done + count - 1;
      const std::int64_t keys = positions[static_cast<std::size_t>(last)] + std::int64_t{1};
      DASHF_CHECK(keys <= rows.keys);
      visit(Block{rows.first_query + done, count, rows.first_key, keys});
    }
  }
}

template <class T>
Matrix<T> Head(
    Matrix<T> x, std::int64_t first, std::int64_t rows, std::int64_t head, int head_dim) {
  return x.Rows(first, rows).Columns(head * head_dim, head_dim);
}

template <class T>
void Zero(Matrix<T> x) {
  for (std::int64_t i = 0; i < x.rows; ++i) std::fill_n(x.Row(i), x.columns, T{0});
}

template <class T>
T SoftmaxScale(const HeadShape& shape) {
  return T{1} / std::sqrt(static_cast<T>(shape.head_dim));
}

}  // namespace

template <class T>
void AttentionForward(const HeadShape& shape,
                      std::span<const AttentionRows> sequences,
                      std::span<const int> positions,
                      ConstMatrix<T> q,
                      ConstMatrix<T> k,
                      ConstMatrix<T> v,
                      T* scratch,
                      Matrix<T> log_sum,
                      Matrix<T> out) {
  const T scale = SoftmaxScale<T>(shape);
  const int groups = shape.heads / shape.kv_heads, dim = shape.head_dim;
  ForEachBlock(sequences, positions, [&](const Block& block) {
    const Matrix<T> scores(scratch, block.queries, block.keys);
    for (int h = 0; h < shape.heads; ++h) {
      MultiplyTransposed(1,
                         Head(q, block.first_query, block.queries, h, dim),
                         Head(k, block.first_key, block.keys, h / groups, dim),
                         0,
                         scores);
      for (std::int64_t i = 0; i < block.queries; ++i) {
        const std::int64_t row = block.first_query + i;
        const std::int64_t seen = positions[static_cast<std::size_t>(row)] + std::int64_t{1};
        log_sum.Row(row)[h] = SoftmaxRow(scale, seen, block.keys, scores.Row(i));
      }
      Multiply(1,
               scores,
               Op::kPlain,
               Head(v, block.first_key, block.keys, h / groups, dim),
               Op::kPlain,
               0,
               Head(out, block.first_query, block.queries, h, dim));
    }
  });
}

template <class T>
void AttentionBackward(const HeadShape& shape,
                       std::span<const AttentionRows> sequences,
                       std::span<const int> positions,
                       ConstMatrix<T> q,
                       ConstMatrix<T> k,
                       ConstMatrix<T> v,
                       ConstMatrix<T> log_sum,
                       ConstMatrix<T> dout,
                       T* scratch,
                       Matrix<T> dq,
                       Matrix<T> dk,
                       Matrix<T> dv) {
  const T scale = SoftmaxScale<T>(shape);
  const int groups = shape.heads / shape.kv_heads, dim = shape.head_dim;
  Zero(dk);
  Zero(dv);
  ForEachBlock(sequences, positions, [&](const Block& block) {
    const Matrix<T> p(scratch, block.queries, block.keys);
    const Matrix<T> ds(scratch + block.queries * block.keys, block.queries, block.keys);
    for (int h = 0; h < shape.heads; ++h) {
      const auto of_query = [&](auto x) {
        return Head(x, block.first_query, block.queries, h, dim);
      };
      const auto of_key = [&](auto x) {
        return Head(x, block.first_key, block.keys, h / groups, dim);
      };
      MultiplyTransposed(1, of_query(q), of_key(k), 0, p);
      MultiplyTransposed(1, of_query(dout), of_key(v), 0, ds);
      for (std::int64_t i = 0; i < block.queries; ++i) {
        const std::int64_t row = block.first_query + i;
        const std::int64_t seen = positions[static_cast<std::size_t>(row)] + std::int64_t{1};
        SoftmaxRowBackward(scale, log_sum.Row(row)[h], seen, block.keys, p.Row(i), ds.Row(i));
      }
      Multiply(1, ds, Op::kPlain, of_key(k), Op::kPlain, 0, of_query(dq));
      Multiply(1, ds, Op::kTransposed, of_query(q), Op::kPlain, 1, of_key(dk));
      Multiply(1, p, Op::kTransposed, of_query(dout), Op::kPlain, 1, of_key(dv));
    }
  });
}

#define DASHF_INSTANTIATE(T)                                         \
  template void AttentionForward<T>(const HeadShape&,                \
                                    std::span<const AttentionRows>,  \
                                    std::span<const int>,            \
                                    ConstMatrix<T>,                  \
                                    ConstMatrix<T>,                  \
                                    ConstMatrix<T>,                  \
                                    T*,                              \
                                    Matrix<T>,                       \
                                    Matrix<T>);                      \
  template void AttentionBackward<T>(const HeadShape&,               \
                                     std::span<const AttentionRows>, \
                                     std::span<const int>,           \
                                     ConstMatrix<T>,                 \
                                     ConstMatrix<T>,                 \
                                     ConstMatrix<T>,                 \
                                     ConstMatrix<T>,                 \
                                     ConstMatrix<T>,                 \
                                     T*,                             \
                                     Matrix<T>,                      \
                                     Matrix<T>,                      \
                                     Matrix<T>);
DASHF_INSTANTIATE(float)
DASHF_INSTANTIATE(double)
#undef DASHF_INSTANTIATE

}  // namespace dashf::llama
