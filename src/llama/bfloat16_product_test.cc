#include "llama/bfloat16_product.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "llama/engine.h"
#include "llama/testing.h"

namespace dashf::llama {
namespace {

using testing::LoraLayout;
using testing::PromptLayout;
using testing::RandomBatch;
using testing::RandomParameters;
using testing::RandomWeights;
using testing::TinyConfig;

constexpr Storage kHalves = {Format::kBFloat16, Format::kBFloat16, Arithmetic::kFloat32};
constexpr Storage kProducts = {Format::kBFloat16, Format::kBFloat16, Arithmetic::kBFloat16};

float Value(std::uint16_t half) {
  return std::bit_cast<float>(std::uint32_t{half} << 16);
}

std::vector<std::uint16_t> Rounded(const std::vector<float>& values) {
  std::vector<std::uint16_t> halves(values.size());
  const auto count = std::ssize(values);
  RoundToBFloat16({values.data(), 1, count}, {halves.data(), 1, count});
  return halves;
}

constexpr const char* kNoProducts = "this processor has no products of bfloat16";

TEST(BFloat16Product, RoundsToTheNearestAndKeepsWhatIsNoNumber) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto nan = std::bit_cast<float>(0x7FFFFFFFU);  // Adding to its bits would carry.
  const std::vector<std::uint16_t> halves =
      Rounded({1.0F, 1.0F + 0x1p-8F, 1.0F + 0x1.8p-7F, -1.0039064F, kInfinity, -kInfinity, nan});
  EXPECT_EQ(Value(halves[0]), 1.0F);
  EXPECT_EQ(Value(halves[1]), 1.0F);             // A tie, to the even one below
  EXPECT_EQ(Value(halves[2]), 1.0F + 0x1p-6F);   // and above.
  EXPECT_EQ(Value(halves[3]), -1.0F - 0x1p-7F);  // Just beyond the tie.
  EXPECT_EQ(Value(halves[4]), kInfinity);
  EXPECT_EQ(Value(halves[5]), -kInfinity);
  EXPECT_TRUE(std::isnan(Value(halves[6])));
}

// Products of bfloat16 numbers are exact in float32; sums of k of them differ by order alone:
// k 2^-24 of the sum of magnitudes.
TEST(BFloat16Product, IsTheProductOfItsRoundedFactorsWhateverTheShape) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoProducts;
  struct Shape {
    std::int64_t m, n, k;
  };
  for (const auto& [m, n, k] :
       {Shape{1, 1, 1}, {1, 7, 3}, {5, 1, 33}, {3, 64, 1}, {70, 50, 129}, {33, 2050, 2050}}) {
    for (const Op op : {Op::kPlain, Op::kTransposed}) {
      Rng rng(static_cast<std::uint64_t>(m * 1000 + n));
      // Strides wider than the rows, and a sum already there.
      const std::int64_t b_rows = op == Op::kPlain ? k : n, b_columns = op == Op::kPlain ? n : k;
      std::vector<float> a(static_cast<std::size_t>(m * (k + 2)));
      std::vector<float> b(static_cast<std::size_t>(b_rows * (b_columns + 3)));
      std::vector<float> c(static_cast<std::size_t>(m * (n + 5)), 0.5F);
      for (float& value : a) value = static_cast<float>(rng.Normal());
      for (float& value : b) value = static_cast<float>(rng.Normal());
      const auto a_halves = Rounded(a), b_halves = Rounded(b);
      for (const float beta : {0.0F, 1.0F}) {
        MultiplyBFloat16({a_halves.data(), m, k, k + 2},
                         {b_halves.data(), b_rows, b_columns, b_columns + 3},
                         op,
                         beta,
                         {c.data(), m, n, n + 5});
        const std::int64_t step =
            n > 1000 ? 8 : 1;  // Every eighth row, first and last, where all take long.
        for (std::int64_t i = 0; i < m; i += step) {
          for (std::int64_t j = 0; j < n; ++j) {
            double sum = 0.0, magnitude = 0.0;
            for (std::int64_t l = 0; l < k; ++l) {
              const std::int64_t at =
                  op == Op::kPlain ? l * (b_columns + 3) + j : j * (b_columns + 3) + l;
              const double term =
                  double{Value(a_halves[static_cast<std::size_t>(i * (k + 2) + l)])} *
                  Value(b_halves[static_cast<std::size_t>(at)]);
              sum += term;
              magnitude += std::abs(term);
            }
            const double found = c[static_cast<std::size_t>(i * (n + 5) + j)];
            // The second time the product is added to the first.
            EXPECT_NEAR(
                found, (beta + 1) * sum, (beta + 1) * static_cast<double>(k) * 0x1p-23 * magnitude)
                << m << " x " << n << " x " << k;
          }
          EXPECT_EQ(c[static_cast<std::size_t>(i * (n + 5) + n)], 0.5F);  // Beyond the row.
        }
      }
    }
  }
}

struct Step {
  double loss = 0.0;
  std::vector<float> gradient;
};

Step OneStep(const Storage& storage, const AdapterLayout& layout, Keep keep, int threads) {
  const ModelConfig config = TinyConfig();
  const Weights weights = RandomWeights(config, 3, storage);
  const RandomBatch batch(config, 12, 1, 7);
  const std::vector<float> parameters = RandomParameters<float>(layout, 5);
  Engine<float> engine(weights,
                       layout,
                       {0, 0, config.layers, config.layers},
                       {.keep = keep, .threads = threads, .positions = 128});
  Step step;
  step.gradient.resize(parameters.size());
  const Slot<float> slot{parameters.data(), step.gradient.data()};
  step.loss = engine.LossAndGradient(batch.sequences, {&slot, 1}).front();
  return step;
}

double RelativeError(const Step& step, const Step& exact, std::int64_t begin, std::int64_t end) {
  double square = 0.0, error = 0.0;
  for (std::int64_t i = begin; i < end; ++i) {
    const double g = exact.gradient[static_cast<std::size_t>(i)];
    const double difference = step.gradient[static_cast<std::size_t>(i)] - g;
    square += g * g;
    error += difference * difference;
  }
  return std::sqrt(error / square);
}

// Each rounding is 2^-9 at most, and three layers with numbers of order 1 carry it along; in a
// prompt's gradient, that of a softmax, terms nearly cancel.
TEST(BFloat16Arithmetic, KeepsLossAndGradientsOfTheSameWeightsInFloat32) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoProducts;
  const ModelConfig config = TinyConfig();
  const std::pair<AdapterLayout, double> bounds[] = {
      {LoraLayout(config, {2, 3, 1, 2, 2, 1, 3}), 0.03}, {PromptLayout(config, 4), 0.12}};
  for (const auto& [layout, error_max] : bounds) {
    const Step exact = OneStep(kHalves, layout, Keep::kAll, 1);
    const Step step = OneStep(kProducts, layout, Keep::kAll, 1);
    EXPECT_NE(step.loss, exact.loss);
    EXPECT_NEAR(step.loss, exact.loss, 3e-3 * exact.loss);
    for (const LayerPlaces& places : layout.layers) {
      EXPECT_LT(RelativeError(step, exact, places.begin, places.end), error_max);
    }
  }
}

TEST(BFloat16Arithmetic, GivesTheSameBitsAgainAlsoWhereLayersAreComputedAgain) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoProducts;
  const AdapterLayout layout = LoraLayout(TinyConfig(), {2, 0, 2, 0, 0, 0, 0});
  for (const int threads : {1, 2}) {
    const Step first = OneStep(kProducts, layout, Keep::kAll, threads);
    for (const Keep keep : {Keep::kAll, Keep::kInputs}) {
      const Step again = OneStep(kProducts, layout, keep, threads);
      EXPECT_EQ(again.loss, first.loss);
      EXPECT_EQ(again.gradient, first.gradient);
    }
  }
}

TEST(BFloat16Arithmetic, KeepsWeightsOnceInHalfTheMemory) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoProducts;
  const ModelConfig config = TinyConfig();
  const std::size_t norms =
      static_cast<std::size_t>((2 * config.layers + 1) * config.hidden_size) * sizeof(float);
  EXPECT_EQ(2 * (MakeWeights(config, kProducts).Bytes() - norms),
            MakeWeights(config, {}).Bytes() - norms);
}

}  // namespace
}  // namespace dashf::llama
