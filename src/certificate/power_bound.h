// A proven upper bound on a RowProblem's maximum where the download's signal is weak
// (docs/certificates.md, "One row"). Pure.
#pragma once

#include "certificate/row_bound.h"

namespace dashf::certificate {

// As BoundRow(), for a row that downloads, by branch and bound over (q, b) in place of (z, b):
// where the rate is hardly more than what the power alone brings, the objective is flat along b z =
// const and asks for steps in z without end.
double BoundRowOverPower(const RowProblem& row,
                         const Point& start,
                         double tolerance,
                         double* incumbent);

}  // namespace dashf::certificate
