// The EUA data set's geography (Lai et al., ICSOC 2018): base stations and users of central
// Melbourne as CSV files with latitude and longitude columns in degrees.
#pragma once

#include <string>

#include "base/error.h"
#include "scenario/generator.h"

namespace dashf {

// Both files' points in metres around their common centroid, x east and y north, by the
// equirectangular projection (below 0.1 m of error over a city's centre). kIo, or kBadInput naming
// file, line, column and value.
Expected<Geography> ReadEua(const std::string& sites_path, const std::string& users_path);

}  // namespace dashf
