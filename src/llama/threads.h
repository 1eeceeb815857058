// How many threads a matrix product may use, and how they treat numbers too small to be normal.
#pragma once

#include <cstdint>

namespace dashf::llama {

// While this lives, results of the calling thread that are too small for a normal number become
// zero, and such operands count as zero (x86-64: FTZ and DAZ; arm64: FZ). Sums do not notice
// numbers below 1e-38, but processors take a hundred times as long for them, and exp and AdamW's
// means make them. Elsewhere it does nothing.
class FlushSubnormals {
 public:
  FlushSubnormals() : before_(Begin()) {}
  ~FlushSubnormals();
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

  // For good. Returns the thread's control register as it was.
  static std::uint64_t Begin();

 private:
  std::uint64_t before_;
};

// The calling thread's OpenMP threads, which matrix products take as theirs, while this lives; they
// and the calling thread flush subnormals.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  FlushSubnormals flush_;
  int before_;
};

}  // namespace dashf::llama
