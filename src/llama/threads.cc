#include "llama/threads.h"

#include <omp.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace dashf::llama {
namespace {

#if defined(__x86_64__)
constexpr std::uint64_t kFlush = 0x8040;  // MXCSR: flush to zero, denormals are zero.
std::uint64_t Control() {
  return _mm_getcsr();
}
void SetControl(std::uint64_t control) {
  _mm_setcsr(static_cast<unsigned>(control));
}
#elif defined(__aarch64__)
constexpr std::uint64_t kFlush = std::uint64_t{1} << 24;  // FPCR: flush to zero, in and out.
std::uint64_t Control() {
  std::uint64_t control = 0;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  return control;
}
void SetControl(std::uint64_t control) {
  asm volatile("msr fpcr, %0" : : "r"(control));
}
#else
constexpr std::uint64_t kFlush = 0;
std::uint64_t Control() {
  return 0;
}
void SetControl(std::uint64_t) {}
#endif

}  // namespace

std::uint64_t FlushSubnormals::Begin() {
  const std::uint64_t before = Control();
  SetControl(before | kFlush);
  return before;
}

// What happened in between to other bits, as the flags of exceptions, stays.
FlushSubnormals::~FlushSubnormals() {
  SetControl((Control() & ~kFlush) | (before_ & kFlush));
}

ThreadScope::ThreadScope(int threads) : before_(omp_get_max_threads()) {
  omp_set_num_threads(threads);
  if (threads == 1 || omp_in_parallel() != 0) return;
    // The pool's threads may be older than this scope, and keep what they are told: they do nothing
    // but compute. One that joins later has its creator's setting.
#pragma omp parallel
  FlushSubnormals::Begin();
}

ThreadScope::~ThreadScope() {
  omp_set_num_threads(before_);
}

}  // namespace dashf::llama
