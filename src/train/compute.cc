#include "train/compute.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <vector>

#include "base/termination.h"
#include "llama/matrix.h"
#include "llama/threads.h"

namespace dashf::train {

namespace {

std::atomic<int> threads_of_process{1};

}  // namespace

void SetThreads(int threads) {
  threads_of_process = threads;
}

int Threads() {
  return threads_of_process;
}

double MeasureGemmFlopPerS() {
  constexpr std::int64_t kSize = 512;
  constexpr int kRepeats = 12;
  const std::vector<float> ones(kSize * kSize, 1.0F);
  std::vector<float> product(kSize * kSize);
  const llama::Matrix<const float> a(ones.data(), kSize, kSize);
  const llama::ThreadScope scope(Threads());
  double best_s = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRepeats; ++i) {
    const Stopwatch watch;
    llama::MultiplyTransposed(1, a, a, 0, llama::Matrix<float>(product.data(), kSize, kSize));
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
