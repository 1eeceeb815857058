// Proven upper bounds on a RowProblem's maximum (docs/certificates.md, "One row"). Pure functions.
#pragma once

#include "certificate/row_problem.h"

namespace dashf::certificate {

// C_up(b) >= constant + slope b for all b > 0.
struct Minorant {
  double constant = 0.0;
  double slope = 0.0;
};

// The objective is at most constant + bandwidth_value b + power_value q - ws V / (b z)
// - e V rho / z wherever b, q, z, s are allowed: score and costs replaced by tangents at a point.
struct Linearisation {
  double bandwidth_value = 0.0;
  double power_value = 0.0;
  double constant = 0.0;
  Minorant upload;  // What of it stands for the upload.
};
Linearisation LineariseAt(const RowProblem& row, const Point& point);

// The most that the server's clock can add once the score's slope is at most `theta`:
// theta share s - clock_price s - h1 / s - h2 s^2 over [0, clock_max], by a tangent at clock_hz.
double ServerGain(const RowProblem& row, double theta, double clock_hz);

// Branch and bound over (z, b). Stops as soon as the row's bound is at most
// *incumbent + tolerance; any point found above *incumbent raises it. The result is proven whatever
// `start` and `*incumbent` are; +infinity if nothing could be proven.
double BoundRow(const RowProblem& row, const Point& start, double tolerance, double* incumbent);

}  // namespace dashf::certificate
