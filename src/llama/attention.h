// Causal grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) of packed sequences.
// Scores exist for a few queries of one head at a time; the backward makes them again from the
// logarithm of each softmax's denominator (Dao et al. 2022, arXiv:2205.14135).
#pragma once

#include <cstdint>
#include <span>

#include "llama/config.h"
#include "llama/matrix.h"

namespace dashf::llama {

struct HeadShape {
  int heads = 0;     // Query head h belongs to key head h / (heads / kv_heads).
  int kv_heads = 0;  // Divides `heads`.
  int head_dim = 0;
  double scale = 0.0;  // Of the scores.
  int window = 0;      // A query at t sees t - window + 1..t, or all up to t if it is 0.
};
HeadShape HeadsOf(const ModelConfig& config, int layer);

// A sequence's rows among the queries and among the keys. The queries may be a choice of the
// sequence's positions; its keys are all of them, from position 0.
struct AttentionRows {
  std::int64_t first_query = 0, queries = 0;
  std::int64_t first_key = 0, keys = 0;
};

inline constexpr std::int64_t kQueriesAtOnce = 64;
// Of `scratch`, for sequences of up to `length` keys.
inline std::int64_t AttentionScratchElements(std::int64_t length) {
  return 2 * kQueriesAtOnce * length;
}

// Of each query at position t: out = softmax(scale q k') v over the keys that it sees of its
// sequence. positions (M), ascending in each sequence; q, out (M, heads head_dim); k, v
// (N, kv_heads head_dim); log_sum (M, heads): the logarithm of the softmax's denominator.
template <class T>
void AttentionForward(const HeadShape& shape,
                      std::span<const AttentionRows> sequences,
                      std::span<const int> positions,
                      ConstMatrix<T> q,
                      ConstMatrix<T> k,
                      ConstMatrix<T> v,
                      T* scratch,
                      Matrix<T> log_sum,
                      Matrix<T> out);

// With p the weights and dp = dout v': ds = scale p (dp - sum(p dp)), dq = ds k, dk = ds' q,
// dv = p' dout, summed over the heads of a group. All of dq, dk, dv is overwritten.
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
                       Matrix<T> dv);

}  // namespace dashf::llama
