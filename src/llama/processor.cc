#include "llama/processor.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#if defined(__x86_64__)
#include <dnnl.hpp>
#else
// Absent from other implementations of BLAS.
extern "C" [[gnu::weak]] char* openblas_get_corename();
#endif

namespace dashf::llama {
namespace {

constexpr int kChains = 12;  // Of operations that wait for one another: more than any latency x 2.
constexpr int kRounds = 1 << 14;

// Keeps the compiler from leaving out what nothing reads.
volatile float sink;

// A multiplication and an addition, one instruction where the processor has it, of vectors of
// `width` numbers in each chain, kRounds times; returns the operations. One function for each kind
// of vectors, since a function's code is for one.
#define DASHF_LOOP(name, width, attribute)                            \
  attribute double name() {                                           \
    using Vector [[gnu::vector_size(width * sizeof(float))]] = float; \
    const Vector factor = Vector{} + 0.5F, added = Vector{} + 0.25F;  \
    Vector chains[kChains];                                           \
    for (Vector & chain : chains) chain = added;                      \
    for (int round = 0; round < kRounds; ++round) {                   \
      for (Vector & chain : chains) chain = chain * factor + added;   \
    }                                                                 \
    for (const Vector& chain : chains) sink = chain[0];               \
    return 2.0 * width * kChains * kRounds;                           \
  }
#if defined(__x86_64__)
DASHF_LOOP(LoopAvx512, 16, [[gnu::target("avx512f")]])
DASHF_LOOP(LoopAvx2, 8, [[gnu::target("avx2,fma")]])
#endif
DASHF_LOOP(LoopOf4, 4, )
#undef DASHF_LOOP

double LoopOfProcessor() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return LoopAvx512();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return LoopAvx2();
#endif
  return LoopOf4();
}

double ThreadCpuS() {
  std::timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

double MeasurePeakFlopPerS(int repeats) {
  double best = 0.0;
  for (int i = 0; i < repeats; ++i) {
    const double before_s = ThreadCpuS();
    const double flop = LoopOfProcessor();
    best = std::max(best, flop / std::max(1e-9, ThreadCpuS() - before_s));
  }
  return best;
}

#if defined(__x86_64__)

std::string ProcessorVectors() {
  if (__builtin_cpu_supports("avx512f")) return "AVX-512";
  if (__builtin_cpu_supports("avx2")) return "AVX2";
  if (__builtin_cpu_supports("avx")) return "AVX";
  return "SSE";
}

const char* ProductLibrary() {
  return "oneDNN";
}

std::string ProductKernels() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "SSE4.1";
    case dnnl::cpu_isa::avx:
      return "AVX";
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx2_vnni:
      return "AVX2";
    case dnnl::cpu_isa::avx512_mic:
    case dnnl::cpu_isa::avx512_mic_4ops:
    case dnnl::cpu_isa::avx512_core:
    case dnnl::cpu_isa::avx512_core_vnni:
      return "AVX-512";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "AVX-512 + BF16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "AVX-512 + AMX";
    default:
      return "plain";
  }
}

std::string ProductCap() {
  // In the order in which the library reads them.
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr) return std::string(name) + "=" + value;
  }
  return {};
}

#else

std::string ProcessorVectors() {
#if defined(__aarch64__)
  return "NEON";
#else
  return "plain";
#endif
}

const char* ProductLibrary() {
  return "OpenBLAS";
}

std::string ProductKernels() {
  return openblas_get_corename != nullptr ? openblas_get_corename() : "unknown";
}

std::string ProductCap() {
  const char* const value = std::getenv("OPENBLAS_CORETYPE");
  return value != nullptr ? std::string("OPENBLAS_CORETYPE=") + value : std::string();
}

#endif

}  // namespace dashf::llama
