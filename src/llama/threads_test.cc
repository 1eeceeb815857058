#include "llama/threads.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <thread>
#include <vector>

#include "llama/matrix.h"

namespace dashf::llama {
namespace {

constexpr int kThreads = 3;

// 1e-20 * 1e-20 = 1e-40, below float32's least normal number, 1.2e-38.
bool ProductVanishes() {
  volatile float small = 1e-20F;
  volatile float product = small * small;
  return product == 0.0F;
}

// 1e-40 as an operand, which only counts as zero.
bool OperandVanishes() {
  volatile float subnormal = 1e-40F;
  volatile float product = subnormal * 1e10F;
  return product == 0.0F;
}

#if defined(__x86_64__) || defined(__aarch64__)

// On a thread of its own, whose pool nobody has told anything.
TEST(Threads, FlushSubnormalsInEveryOneAlsoInThoseThatWereThereBefore) {
  std::vector<int> before(kThreads), within(kThreads);
  bool after = true;
  std::thread([&] {
#pragma omp parallel num_threads(kThreads)
    before[static_cast<std::size_t>(omp_get_thread_num())] = ProductVanishes() ? 1 : 0;
    {
      const ThreadScope scope(kThreads);
#pragma omp parallel num_threads(kThreads)
      within[static_cast<std::size_t>(omp_get_thread_num())] =
          ProductVanishes() && OperandVanishes() ? 1 : 0;
    }
    after = ProductVanishes() || OperandVanishes();
  }).join();
  EXPECT_EQ(before, std::vector<int>(kThreads, 0));
  EXPECT_EQ(within, std::vector<int>(kThreads, 1));
  EXPECT_FALSE(after);
}

TEST(Threads, FlushSubnormalsForEachThatComputesApart) {
  std::vector<int> within(kThreads), after(kThreads);
  std::vector<std::thread> apart;
  for (std::size_t i = 0; i < kThreads; ++i) {
    apart.emplace_back([&within, &after, i] {
      {
        const ThreadScope scope(1);
        within[i] = ProductVanishes() ? 1 : 0;
      }
      after[i] = ProductVanishes() ? 1 : 0;
    });
  }
  for (std::thread& thread : apart) thread.join();
  EXPECT_EQ(within, std::vector<int>(kThreads, 1));
  EXPECT_EQ(after, std::vector<int>(kThreads, 0));
}

TEST(Threads, MatrixProductsOfTinyNumbersAreZero) {
  constexpr std::int64_t kSize = 200;  // Enough work for every thread to get some.
  const std::vector<float> tiny(kSize * kSize, 1e-20F);
  const Matrix<const float> a(tiny.data(), kSize, kSize);
  for (const int threads : {1, kThreads}) {
    const ThreadScope scope(threads);
    std::vector<float> product(kSize * kSize, 1.0F);
    MultiplyTransposed(1, a, a, 0, Matrix<float>(product.data(), kSize, kSize));
    EXPECT_EQ(product, std::vector<float>(kSize * kSize, 0.0F)) << threads;
  }
}

#endif

}  // namespace
}  // namespace dashf::llama
