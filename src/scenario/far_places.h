// Places that are far from all others: a swapped sign or a foreign row more often than a network.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "scenario/scenario.h"

namespace dashf {

struct FarPlaces {
  double radius_m = 0.0;
  std::vector<std::size_t> sites;  // No other site within `radius_m`, ascending.
  std::vector<std::size_t> users;  // No site within `radius_m`, ascending.
};

// The radius is 5 km, or so often its double that at most one site in twenty (or one) is alone: in
// a sparse network distance means little. Time and memory are linear in the places.
FarPlaces FindFarPlaces(std::span<const Position> sites, std::span<const Position> users);

}  // namespace dashf
