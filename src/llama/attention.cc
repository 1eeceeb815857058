#include "llama/attention.h"

#include <algorithm>

#include "base/check.h"
#include "llama/softmax.h"

namespace dashf::llama {
namespace {

// Some queries of one sequence, and the keys that any of them sees.
struct Block {
  std::int64_t first_query = 0, queries = 0;
  std::int64_t first_key = 0, keys = 0;
  std::int64_t position = 0;  // Of the first key.
};

// The first position that a query sees.
std::int64_t FirstSeen(const HeadShape& shape, std::int64_t position) {
  return shape.window == 0 ? 0 : std::max<std::int64_t>(0, position - shape.window + 1);
}

// The block's keys that a query at this position sees.
struct Seen {
  std::int64_t first = 0, count = 0;
};
Seen SeenBy(const HeadShape& shape, const Block& block, std::int64_t position) {
  const std::int64_t first = FirstSeen(shape, position);
  return {first - block.position, position + 1 - first};
}

template <class Visit>
void ForEachBlock(const HeadShape& shape,
                  std::span<const AttentionRows> sequences,
                  std::span<const int> positions,
                  Visit visit) {
  for (const AttentionRows& rows : sequences) {
    for (std::int64_t done = 0; done < rows.queries; done += kQueriesAtOnce) {
      const std::int64_t count = std::min(kQueriesAtOnce, rows.queries - done);
      const std::int64_t query = rows.first_query + done;
      const auto own = positions.subspan(static_cast<std::size_t>(query));
      const std::int64_t first = FirstSeen(shape, own[0]);
      const std::int64_t end = own[static_cast<std::size_t>(count) - 1] + std::int64_t{1};
      DASHF_CHECK(end <= rows.keys);
      visit(Block{query, count, rows.first_key + first, end - first, first});
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

}  // namespace

HeadShape HeadsOf(const ModelConfig& config, int layer) {
  return {config.heads,
          config.kv_heads,
          config.head_dim,
          config.AttentionScale(),
          config.WindowOf(layer)};
}

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
  const T scale = static_cast<T>(shape.scale);
  const int groups = shape.heads / shape.kv_heads, dim = shape.head_dim;
  ForEachBlock(shape, sequences, positions, [&](const Block& block) {
    const Matrix<T> scores(scratch, block.queries, block.keys);
    for (int h = 0; h < shape.heads; ++h) {
      MultiplyTransposed(1,
                         Head(q, block.first_query, block.queries, h, dim),
                         Head(k, block.first_key, block.keys, h / groups, dim),
                         0,
                         scores);
      for (std::int64_t i = 0; i < block.queries; ++i) {
        const std::int64_t row = block.first_query + i;
        const Seen seen = SeenBy(shape, block, positions[static_cast<std::size_t>(row)]);
        T* const own = std::fill_n(scores.Row(i), seen.first, T{0});
        log_sum.Row(row)[h] = SoftmaxRow(scale, seen.count, block.keys - seen.first, own);
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
  const T scale = static_cast<T>(shape.scale);
  const int groups = shape.heads / shape.kv_heads, dim = shape.head_dim;
  Zero(dk);
  Zero(dv);
  ForEachBlock(shape, sequences, positions, [&](const Block& block) {
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
        const Seen seen = SeenBy(shape, block, positions[static_cast<std::size_t>(row)]);
        T* const own_p = std::fill_n(p.Row(i), seen.first, T{0});
        T* const own_ds = std::fill_n(ds.Row(i), seen.first, T{0});
        const std::int64_t width = block.keys - seen.first;
        SoftmaxRowBackward(scale, log_sum.Row(row)[h], seen.count, width, own_p, own_ds);
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
