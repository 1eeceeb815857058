// Places of one's own: CSV files of sites (edge servers) and of users, and the EUA data set's (Lai
// et al., ICSOC 2018) among them. docs/scenarios.md lists the columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "scenario/generator.h"

namespace dashf {

struct PlacesOptions {
  // So many drawn at random instead of all, by reservoir sampling; 0: all, at most kPlacesMax.
  std::size_t sites_sample = 0, users_sample = 0;
  std::uint64_t seed = 1;
  // Every million lines; may be empty.
  std::function<void(const std::string& path, std::size_t lines)> on_progress = {};
};
inline constexpr std::size_t kPlacesMax = 1'000'000;

struct Places {
  Geography geography;
  std::vector<std::string> remarks =
      {};  // Columns that mean nothing here, places far from all others.
};

// Both files' places in metres around their common centroid, x east and y north: as given (x_m,
// y_m) or from degrees by the equirectangular projection (below 0.1 m of error over a city's
// centre). Memory grows with the places kept, not with the files. kIo, or kBadInput naming file,
// line, column and value.
Expected<Places> ReadPlaces(const std::string& sites_path,
                            const std::string& users_path,
                            const PlacesOptions& options = {});

}  // namespace dashf
