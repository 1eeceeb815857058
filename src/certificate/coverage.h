// Do deadline boxes leave no pair (longest user phase, longest server phase) out? Exact: compares
// numbers only.
#pragma once

#include "base/error.h"
#include "plan/certificate.h"

namespace dashf::certificate {

// kBadInput names a point of [0, inf) x [0, inf) that lies in no box.
Expected<void> CheckCoverage(const Certificate& certificate);

}  // namespace dashf::certificate
