// Channel gains made elsewhere (a ray tracer, ns-3, measurements): a matrix as CSV or as NumPy's
// .npy.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"

namespace dashf {

enum class GainUnit {
  kLinear,  // Received over sent power, >= 0; 0: no link.
  kDb,      // The same, 10 log10 of it; -inf: no link.
};

struct GainMatrix {
  std::size_t users = 0, servers = 0;
  std::vector<double> gains;  // Linear, users x servers, row by row.

  double At(std::size_t user, std::size_t server) const { return gains[user * servers + server]; }
};

// Called .npy: float32 or float64 of either byte order, C or Fortran order, two-dimensional.
// Otherwise CSV: one line per user of one number per server, with no header, or with one of words,
// which is passed over. At most 2^28 gains. kIo, or kBadInput with the place: a number that is no
// gain.
Expected<GainMatrix> ReadGainMatrix(const std::string& path, GainUnit unit);

}  // namespace dashf
