#include "train/compute.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "base/termination.h"
#include "llama/bfloat16_product.h"
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

Expected<llama::Storage> StorageFor(const StorageChoice& choice) {
  if (auto sound = choice.Validate(); !sound) return tl::unexpected(sound.error());
  const bool has_products = llama::HasBFloat16Products();
  if (choice.arithmetic == "bfloat16" && !has_products) {
    return Fail(ErrorKind::kBadInput,
                "arithmetic",
                "this processor has no products of bfloat16 (AVX512_BF16 or AMX); float32 is "
                "faster on it, and auto takes it");
  }
  // Other weights leave `auto` float32 alone.
  const bool halves = choice.weights == "auto" || choice.weights == "bfloat16";
  const bool in_halves = choice.arithmetic != "float32" && halves && has_products;
  const std::string weights = choice.weights != "auto" ? choice.weights
                              : in_halves              ? "bfloat16"
                                                       : "float32";
  const auto format = std::ranges::find(kWeights, weights) - kWeights.begin() - 1;
  llama::Storage storage = llama::StorageOf(static_cast<llama::Format>(format));
  if (in_halves) storage.arithmetic = llama::Arithmetic::kBFloat16;
  return storage;
}

const char* Name(llama::Arithmetic arithmetic) {
  return arithmetic == llama::Arithmetic::kBFloat16 ? "bfloat16" : "float32";
}

const char* Name(llama::Format format) {
  return kWeights.at(static_cast<std::size_t>(format) + 1).c_str();
}

}  // namespace dashf::train
