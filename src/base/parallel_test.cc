#include "base/parallel.h"

#include <gmock/gmock.h>

#include <atomic>
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

TEST(ParallelFor, HandsItsCallersStopToItsThreads) {
  OwnStop stop;
  stop_in_force = &stop;
  std::atomic<int> seen{0};
  ParallelFor(100, 3, [&](std::size_t) { seen += stop_in_force == &stop ? 1 : 0; });
  stop_in_force = nullptr;
  EXPECT_EQ(seen, 100);
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
