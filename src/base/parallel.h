// One loop over independent pieces on several threads. Results cannot depend on the number of
// threads where every piece writes to places of its own and sums are taken afterwards, in order.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/termination.h"

namespace dashf {

// Calls body(i) for i in 0..count - 1, on up to `threads` threads (the caller's is one of them).
// What a call throws (memory that there is not) ends the loop and reaches the caller.
template <class Body>
void ParallelFor(std::size_t count, int threads, const Body& body) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr thrown;
  std::mutex throwing;
  const auto work = [&, stop = stop_in_force] {
    stop_in_force = stop;
    try {
      for (std::size_t i = next++; i < count; i = next++) body(i);
    } catch (...) {
      const std::scoped_lock lock(throwing);
      thrown = std::current_exception();
      next = count;
    }
  };
  {
    std::vector<std::jthread> others;
    const std::size_t wanted = std::min(count, static_cast<std::size_t>(std::max(threads, 1)));
    for (std::size_t t = 1; t < wanted; ++t) others.emplace_back(work);
    work();
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace dashf
