#include "certificate/coverage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/rng.h"

namespace dashf::certificate {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

DeadlineBox Box(double u0, double u1, double s0, double s1) {
  return {u0, u1, s0, s1, {}, {}, {}};
}

// Random guillotine cuts of the quadrant.
std::vector<DeadlineBox> RandomCuts(int cuts, Rng& rng) {
  std::vector<DeadlineBox> boxes = {Box(0.0, kInfinity, 0.0, kInfinity)};
  for (int i = 0; i < cuts; ++i) {
    DeadlineBox& box = boxes[rng.Below(boxes.size())];
    DeadlineBox other = box;
    const bool user = rng.Uniform() < 0.5;
    double& max = user ? box.user_phase_s_max : box.server_phase_s_max;
    const double min = user ? box.user_phase_s_min : box.server_phase_s_min;
    const double at =
        max < kInfinity ? min + (max - min) * rng.Uniform(0.1, 0.9) : min + rng.Exponential() + 0.1;
    max = at;
    (user ? other.user_phase_s_min : other.server_phase_s_min) = at;
    boxes.push_back(other);
  }
  rng.Shuffle(&boxes);
  return boxes;
}

TEST(Coverage, OfEveryGuillotineCutHoldsAndWithoutAnyOneBoxFails) {
  for (int seed = 0; seed < 200; ++seed) {
    Rng rng(static_cast<std::uint64_t>(seed));
    const Certificate whole{1.0, RandomCuts(1 + static_cast<int>(rng.Below(20)), rng)};
    EXPECT_TRUE(CheckCoverage(whole)) << seed;
    for (std::size_t i = 0; i < whole.boxes.size(); ++i) {
      Certificate torn = whole;
      torn.boxes.erase(torn.boxes.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_FALSE(CheckCoverage(torn)) << seed;
    }
  }
}

TEST(Coverage, AllowsOverlapsAndFindsASliver) {
  Certificate certificate{
      1.0, {Box(0, 5, 0, kInfinity), Box(3, kInfinity, 0, 7), Box(5, kInfinity, 6, kInfinity)}};
  EXPECT_TRUE(CheckCoverage(certificate));
  certificate.boxes[2].user_phase_s_min = std::nextafter(5.0, 6.0);
  EXPECT_FALSE(CheckCoverage(certificate));
  EXPECT_FALSE(CheckCoverage({1.0, {}}));
}

}  // namespace
}  // namespace dashf::certificate
