#include "scenario/far_places.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <unordered_map>

namespace dashf {
namespace {

constexpr double kRadiusM = 5000.0;
constexpr double kRadiusMMax = 1e12;  // Beyond everything.
constexpr std::size_t kSitesPerFar = 20;

// Points in squares of a side that is the radius: whoever is near is in one of nine.
class Squares {
 public:
  Squares(std::span<const Position> points, double side_m) : points_(points), side_m_(side_m) {
    for (std::size_t i = 0; i < points.size(); ++i) squares_[KeyOf(points[i], 0, 0)].push_back(i);
  }

  // Is a point within the side of `at`, other than `except`?
  bool AnyNear(const Position& at, std::size_t except) const {
    for (int row = -1; row <= 1; ++row) {
      for (int column = -1; column <= 1; ++column) {
        const auto square = squares_.find(KeyOf(at, column, row));
        if (square == squares_.end()) continue;
        for (const std::size_t i : square->second) {
          const double x_m = points_[i].x_m - at.x_m, y_m = points_[i].y_m - at.y_m;
          if (i != except && std::hypot(x_m, y_m) <= side_m_) return true;
        }
      }
    }
    return false;
  }

 private:
  std::uint64_t KeyOf(const Position& at, int columns, int rows) const {
    const auto column = static_cast<std::int64_t>(std::floor(at.x_m / side_m_)) + columns;
    const auto row = static_cast<std::int64_t>(std::floor(at.y_m / side_m_)) + rows;
    return static_cast<std::uint64_t>(column) << 32 ^
           (static_cast<std::uint64_t>(row) & 0xffffffffu);
  }

  std::span<const Position> points_;
  double side_m_;
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> squares_;
};

}  // namespace

FarPlaces FindFarPlaces(std::span<const Position> sites, std::span<const Position> users) {
  const std::size_t far_max = std::max<std::size_t>(1, sites.size() / kSitesPerFar);
  FarPlaces far;
  for (far.radius_m = kRadiusM; far.radius_m < kRadiusMMax; far.radius_m *= 2.0) {
    const Squares squares(sites, far.radius_m);
    far.sites.clear();
    for (std::size_t m = 0; m < sites.size() && far.sites.size() <= far_max; ++m) {
      if (!squares.AnyNear(sites[m], m)) far.sites.push_back(m);
    }
    if (sites.size() > 2 && far.sites.size() > far_max) continue;
    if (sites.size() <= 2) far.sites.clear();  // Of two neither is the odd one.
    for (std::size_t n = 0; n < users.size(); ++n) {
      if (!squares.AnyNear(users[n], sites.size())) far.users.push_back(n);
    }
    break;
  }
  return far;
}

}  // namespace dashf
