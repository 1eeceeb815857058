#include "study/average.h"

#include <gmock/gmock.h>

#include "study/testing.h"

namespace dashf::study {
namespace {

using testing::TinyAdapter;
using testing::TinyConfig;
using train::Adapter;

Adapter RandomAdapter(std::uint64_t seed) {
  Adapter adapter = *train::InitialAdapter(TinyConfig(), TinyAdapter(), seed);
  Rng rng(seed);
  for (auto& pairs : adapter.layers) {
    for (train::LoraPair& pair : pairs) {
      for (float& value : pair.b) value = static_cast<float>(rng.Normal());
    }
  }
  return adapter;
}

// s B A of layer i, target j, at (row, column).
double Product(
    const Adapter& adapter, std::size_t i, std::size_t j, std::size_t row, std::size_t column) {
  const auto layer = static_cast<int>(i);
  const std::string& target = adapter.config.lora.targets[j];
  const auto rank = static_cast<std::size_t>(adapter.config.lora.Rank(layer, target));
  const train::LoraPair& pair = adapter.layers[i][j];
  const std::size_t in = pair.a.size() / rank;
  double sum = 0.0;
  for (std::size_t r = 0; r < rank; ++r) sum += pair.b[row * rank + r] * pair.a[r * in + column];
  return adapter.config.lora.Scale(layer, target) * sum;
}

TEST(Average, TheMeanOfProductsIsExact) {
  std::vector<Adapter> adapters = {RandomAdapter(1), RandomAdapter(2), RandomAdapter(3)};
  for (const bool stabilized : {false, true}) {
    for (Adapter& adapter : adapters) adapter.config.lora.rank_stabilized = stabilized;
    const Adapter mean = MeanOfProducts(adapters);
    ASSERT_TRUE(train::CheckAdapter(mean, TinyConfig()));
    for (const std::size_t row : {0U, 3U}) {
      for (const std::size_t column : {0U, 7U}) {
        double expected = 0.0;
        for (const Adapter& adapter : adapters) {
          expected += Product(adapter, 1, 1, row, column) / 3.0;
        }
        EXPECT_NEAR(Product(mean, 1, 1, row, column), expected, 1e-6);
      }
    }
  }
}

TEST(Average, TheMeanOfFactorsIsEachNumbersMean) {
  const std::vector<Adapter> adapters = {RandomAdapter(1), RandomAdapter(2)};
  const Adapter mean = MeanOfFactors(adapters);
  ASSERT_TRUE(train::CheckAdapter(mean, TinyConfig()));
  const auto& b = adapters[0].layers[1][0].b;
  EXPECT_FLOAT_EQ(mean.layers[1][0].b[5], 0.5F * b[5] + 0.5F * adapters[1].layers[1][0].b[5]);
  EXPECT_EQ(MeanOfFactors(std::vector{adapters[0]}), adapters[0]);
}

}  // namespace
}  // namespace dashf::study
