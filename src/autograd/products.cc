#include "autograd/products.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "llama/processor.h"
#include "train/processor_time.h"

namespace dashf::autograd {

std::string ProductsWarning() {
  constexpr std::int64_t kSize = 512;
  constexpr double kFlop = 2.0 * kSize * kSize * kSize;
  constexpr int kRepeats = 8;
  at::set_num_threads(1);
  const at::Tensor ones = at::ones({kSize, kSize});
  double best = 0.0, peak = 0.0;
  for (int i = 0; i < kRepeats; ++i) {
    const double before_s = train::ProcessCpuS();
    const at::Tensor product = at::mm(ones, ones);
    best = std::max(best, kFlop / std::max(1e-9, train::ProcessCpuS() - before_s));
    peak = std::max(peak, llama::MeasurePeakFlopPerS(/*repeats=*/1));
  }
  if (best >= 0.5 * peak) return {};
  return fmt::format(
      "libtorch's matrix products run at {:.1f} GFLOP/s per core, below half of the {:.1f} that it "
      "can ({}): if OpenBLAS does not know this processor, OPENBLAS_CORETYPE names one that it "
      "knows, as SKYLAKEX (AVX-512) or HASWELL (AVX2)",
      best * 1e-9,
      peak * 1e-9,
      llama::ProcessorVectors());
}

}  // namespace dashf::autograd
