#include "base/parallel.h"

#include <gmock/gmock.h>

#include <new>

namespace dashf {
namespace {

TEST(ParallelFor, DoesEveryPieceOnceWithAnyNumberOfThreads) {
  for (const int threads : {0, 1, 3, 100}) {
    std::vector<int> times(50, 0);
    ParallelFor(times.size(), threads, [&](std::size_t i) { ++times[i]; });
    EXPECT_THAT(times, ::testing::Each(1));
  }
}

TEST(ParallelFor, GivesItsCallerWhatAPieceThrows) {
  for (const int threads : {1, 4}) {
    const auto loop = [&] {
      ParallelFor(100, threads, [](std::size_t i) {
        if (i == 40) throw std::bad_alloc();
      });
    };
    EXPECT_THROW(loop(), std::bad_alloc) << threads << " threads";
  }
}

}  // namespace
}  // namespace dashf
