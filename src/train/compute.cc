#include "train/compute.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "base/termination.h"
#include "llama/bfloat16_product.h"
#include "llama/matrix.h"
#include "llama/processor.h"
#include "llama/threads.h"
#include "train/processor_time.h"

namespace dashf::train {

namespace {

std::atomic<int> threads_of_process{1};

constexpr int kRepeats = 8;
constexpr double kMeasureS = 0.5;  // A slow core takes as long for one.

class ProductOfOnes {
 public:
  static constexpr std::int64_t kSize = 512;
  static constexpr double kFlop = 2.0 * kSize * kSize * kSize;

  void Compute() {
    const llama::Matrix<const float> a(ones_.data(), kSize, kSize);
    llama::MultiplyTransposed(1, a, a, 0, llama::Matrix<float>(product_.data(), kSize, kSize));
  }

 private:
  std::vector<float> ones_ = std::vector<float>(kSize * kSize, 1.0F);
  std::vector<float> product_ = std::vector<float>(kSize * kSize);
};

}  // namespace

void SetThreads(int threads) {
  threads_of_process = threads;
}

int Threads() {
  return threads_of_process;
}

double MeasureGemmFlopPerS() {
  const llama::ThreadScope scope(Threads());
  ProductOfOnes product;
  double best_s = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRepeats; ++i) {
    const Stopwatch watch;
    product.Compute();
    best_s = std::min(best_s, watch.ElapsedS());
  }
  return ProductOfOnes::kFlop / best_s;
}

Products MeasureProducts() {
  const llama::ThreadScope scope(1);
  ProductOfOnes product;
  Products measured{llama::ProductLibrary(), llama::ProductKernels()};
  // In turn: the clock of a core changes with what it does and how warm it is.
  const double start_s = ProcessCpuS();
  for (int i = 0; i < kRepeats && ProcessCpuS() - start_s < kMeasureS; ++i) {
    const double before_s = ProcessCpuS();
    product.Compute();
    const double elapsed_s = std::max(1e-9, ProcessCpuS() - before_s);
    measured.flop_per_s = std::max(measured.flop_per_s, ProductOfOnes::kFlop / elapsed_s);
    measured.peak_flop_per_s =
        std::max(measured.peak_flop_per_s, llama::MeasurePeakFlopPerS(/*repeats=*/1));
  }
  return measured;
}

std::string Describe(const Products& products) {
  return fmt::format("{} with {}, {:.1f} GFLOP/s per core",
                     products.library,
                     products.kernels,
                     products.flop_per_s * 1e-9);
}

std::string ProductsWarning(const Products& products) {
  if (products.flop_per_s >= 0.5 * products.peak_flop_per_s) return {};
  const std::string vectors = llama::ProcessorVectors(), cap = llama::ProductCap();
  const bool reached = products.kernels.starts_with(vectors);
  std::string cause = "the caches or the memory are busy with other work";
  if (!cap.empty() && !reached) {
    cause = fmt::format(
        "{} keeps {} from what the processor has, {}; unset it", cap, products.library, vectors);
  } else if (!reached) {
    cause = fmt::format(
        "{} takes its kernels for {}, though the processor has {}: a newer version "
        "may know it{}",
        products.library,
        products.kernels,
        vectors,
        vectors == "NEON" ? ", and OPENBLAS_CORETYPE=NEOVERSEN1 takes kernels for newer cores"
                          : "");
  }
  return fmt::format(
      "matrix products run at {:.1f} GFLOP/s per core, below half of the {:.1f} that it can: {}",
      products.flop_per_s * 1e-9,
      products.peak_flop_per_s * 1e-9,
      cause);
}

Expected<llama::Storage> StorageFor(const StorageChoice& choice) {
  if (auto sound = choice.Validate(); !sound) return tl::unexpected(sound.error());
  const bool has_products = llama::HasBFloat16Products();
  if (choice.arithmetic == "bfloat16" && !has_products) {
    return Fail(
        ErrorKind::kBadInput,
        "arithmetic",
        "this processor has no products of bfloat16 that are used (AVX512_BF16 or AMX, both "
        "x86-64); float32 is faster on it, and auto takes it: weights bfloat16 keep the base "
        "as small");
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
