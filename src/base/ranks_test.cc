#include "base/ranks.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/ranks_testing.h"
#include "base/rng.h"

namespace dashf {
namespace {

TEST(Ranks, AllHearWhatRankZeroSays) {
  for (int count = 1; count <= 9; ++count) {
    std::vector<int> heard(static_cast<std::size_t>(count), 0);
    testing::OnRanks(count, [&](Ranks* ranks) {
      int said = ranks->rank() == 0 ? 7 : 0;
      Broadcast(ranks, std::as_writable_bytes(std::span(&said, 1)));
      heard[static_cast<std::size_t>(ranks->rank())] = said;
    });
    EXPECT_THAT(heard, ::testing::Each(7)) << count << " ranks";
  }
}

// Terms of very different sizes: any other order of addition rounds differently somewhere.
TEST(Ranks, AddUpToTheLastBitAsOneProcessWould) {
  constexpr std::size_t kTerms = 12, kEntries = 20000;
  Rng rng(3);
  std::vector<std::vector<double>> terms(kTerms, std::vector<double>(kEntries));
  for (auto& term : terms) {
    for (double& entry : term) entry = rng.Uniform(-1.0, 1.0) * std::pow(10.0, rng.Uniform(0, 12));
  }
  const auto sum_of = [&](int count) {
    std::vector<double> result;
    testing::OnRanks(count, [&](Ranks* ranks) {
      const auto place = static_cast<std::size_t>((ranks->rank() + count - 1) % count);
      const auto parts = static_cast<std::size_t>(count);
      std::vector<double> sum(kEntries, 0.1);
      SumInOrder(ranks, sum, [&](std::size_t begin, std::size_t end) {
        for (std::size_t t = kTerms * place / parts; t < kTerms * (place + 1) / parts; ++t) {
          for (std::size_t k = begin; k < end; ++k) sum[k] += terms[t][k];
        }
      });
      if (ranks->rank() == 0) result = sum;
    });
    return result;
  };
  const std::vector<double> one = sum_of(1);
  std::vector<double> backwards(kEntries, 0.1);
  for (std::size_t t = kTerms; t-- > 0;) {
    for (std::size_t k = 0; k < kEntries; ++k) backwards[k] += terms[t][k];
  }
  EXPECT_NE(one, backwards);
  for (const int count : {2, 3, 4, 7, 12, 13}) EXPECT_EQ(sum_of(count), one) << count << " ranks";
}

}  // namespace
}  // namespace dashf
