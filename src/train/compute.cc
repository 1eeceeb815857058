#include "train/compute.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/termination.h"

namespace dashf::train {

void SetThreads(int threads) {
  at::set_num_threads(threads);
}

int Threads() {
  return at::get_num_threads();
}

double MeasureGemmFlopPerS() {
  constexpr std::int64_t kSize = 512;
  constexpr int kRepeats = 12;
  const at::Tensor a = at::ones({kSize, kSize}), b = at::ones({kSize, kSize});
  at::Tensor product = at::mm(a, b);
  double best_s = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRepeats; ++i) {
    const Stopwatch watch;
    at::mm_out(product, a, b);
    best_s = std::min(best_s, watch.ElapsedS());
  }
  return 2.0 * kSize * kSize * kSize / best_s;
}

std::string ComputeWarning(double gemm_flop_per_s, int threads) {
  constexpr double kFlopPerSAndCore = 20e9;
  if (gemm_flop_per_s >= kFlopPerSAndCore * threads) return {};
  return fmt::format(
      "matrix products run at {:.1f} GFLOP/s on {} thread(s), below 20 per core: the BLAS is the "
      "reference one (install libopenblas0-openmp) or the machine is busy",
      gemm_flop_per_s * 1e-9,
      threads);
}

}  // namespace dashf::train
