// How many threads a matrix product may use.
#pragma once

#include <omp.h>

namespace dashf::llama {

// The calling thread's OpenMP threads, which BLAS takes as its own, while this lives.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

}  // namespace dashf::llama
