#include "llama/matrix.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <limits>
#include <vector>

#include "base/rng.h"
#include "llama/threads.h"

namespace dashf::llama {
namespace {

// Whole numbers of up to 4 bits: every order of summation gives the same float32 sum.
std::vector<float> WholeNumbers(std::int64_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(rng.Below(15)) - 7.0F;
  return values;
}

struct Sizes {
  std::int64_t m, n, k;
};

template <class T>
void ExpectProduct(const Sizes& sizes, Op op_a, Op op_b, T alpha, T beta) {
  const auto [m, n, k] = sizes;
  constexpr std::int64_t kGap = 3;  // Elements between rows, which nothing may touch.
  const bool a_plain = op_a == Op::kPlain, b_plain = op_b == Op::kPlain;
  const std::int64_t a_rows = a_plain ? m : k, a_columns = a_plain ? k : m;
  const std::int64_t b_rows = b_plain ? k : n, b_columns = b_plain ? n : k;
  const auto a_floats = WholeNumbers(a_rows * (a_columns + kGap), 1);
  const auto b_floats = WholeNumbers(b_rows * (b_columns + kGap), 2);
  const std::vector<T> a(a_floats.begin(), a_floats.end()), b(b_floats.begin(), b_floats.end());
  const T before = beta == T{0} ? std::numeric_limits<T>::quiet_NaN() : T{2};
  std::vector<T> c(static_cast<std::size_t>(m * (n + kGap)), before);
  Multiply<T>(alpha,
              {a.data(), a_rows, a_columns, a_columns + kGap},
              op_a,
              {b.data(), b_rows, b_columns, b_columns + kGap},
              op_b,
              beta,
              {c.data(), m, n, n + kGap});
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n + kGap; ++j) {
      const T found = c[static_cast<std::size_t>(i * (n + kGap) + j)];
      if (j >= n) {
        EXPECT_TRUE(found == before || found != found);
        continue;
      }
      T sum{0};
      for (std::int64_t l = 0; l < k; ++l) {
        const std::int64_t in_a = a_plain ? i * (k + kGap) + l : l * (m + kGap) + i;
        const std::int64_t in_b = b_plain ? l * (n + kGap) + j : j * (k + kGap) + l;
        sum += a[static_cast<std::size_t>(in_a)] * b[static_cast<std::size_t>(in_b)];
      }
      ASSERT_EQ(found, alpha * sum + (beta == T{0} ? T{0} : beta * T{2}))
          << m << " x " << n << " x " << k << " at " << i << ", " << j;
    }
  }
}

template <class T>
void ExpectProducts() {
  for (const Sizes sizes : {Sizes{1, 1, 1},
                            Sizes{1, 70, 33},
                            Sizes{65, 1, 40},
                            Sizes{7, 8, 16},
                            Sizes{64, 48, 129},
                            Sizes{33, 200, 8},
                            Sizes{5, 6, 0},
                            Sizes{0, 6, 4},
                            Sizes{5, 0, 4}}) {
    for (const Op op_a : {Op::kPlain, Op::kTransposed}) {
      for (const Op op_b : {Op::kPlain, Op::kTransposed}) {
        ExpectProduct<T>(sizes, op_a, op_b, T{1}, T{0});
        ExpectProduct<T>(sizes, op_a, op_b, T{0.5}, T{1});
        ExpectProduct<T>(sizes, op_a, op_b, T{-2}, T{0.25});
      }
    }
  }
}

TEST(Product, IsTheSumOfProductsWhateverShapeStrideAndFactors) {
  ExpectProducts<float>();
  ExpectProducts<double>();
  const ThreadScope scope(3);
  ExpectProducts<float>();
}

TEST(Product, HasTheSameBitsAgainOnAsManyThreads) {
  constexpr std::int64_t kRows = 150, kColumns = 310, kInner = 700;
  Rng rng(3);
  std::vector<float> a(kRows * kInner), b(kColumns * kInner);
  for (float& value : a) value = static_cast<float>(rng.Normal());
  for (float& value : b) value = static_cast<float>(rng.Normal());
  for (const int threads : {1, 2, 3}) {
    const ThreadScope scope(threads);
    std::vector<float> products[2];
    for (std::vector<float>& c : products) {
      c.resize(kRows * kColumns);
      MultiplyTransposed(1,
                         Matrix<const float>(a.data(), kRows, kInner),
                         Matrix<const float>(b.data(), kColumns, kInner),
                         0,
                         Matrix<float>(c.data(), kRows, kColumns));
    }
    EXPECT_EQ(products[0], products[1]) << threads;
  }
}

}  // namespace
}  // namespace dashf::llama
