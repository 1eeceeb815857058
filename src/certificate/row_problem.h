// One alternative of one user - server m, split k - at given y, prices and weights: the maximum
// psi_nmk of docs/model.md (9) with every coefficient replaced by a double on the safe side, so
// that the maximum of what stands here is not below psi and its proof starts from exact numbers.
//
//   maximise  a ln(1 + c u) - C_up(b) - ws V / (b z) - e V rho / z - h1 / s - h2 s^2
//             - bandwidth_price b - power_price q - clock_price s - fixed_cost
//   u = share_per_hz b + share_per_w q + share_per_clock s,   q = rho b,   rho = (exp(z) - 1) / eta
//   over 0 <= b <= bandwidth_max, 0 <= q <= power_max, 0 <= s <= clock_max, z > 0,
//   C_up(b) = min over T of wu T + e p T, p = (b / eta)(exp(U / (b T)) - 1) <= user_power_max.
// Bits are in nats (times ln 2), rates in nat/s; z is the download's ln(1 + signal / noise).
#pragma once

namespace dashf::certificate {

struct RowProblem {
  double score_scale = 1.0;  // a
  double score_gain = 1.0;   // c
  // Shares that score; 0 where the row does not use the resource. Rounded up.
  double share_per_hz = 0.0;
  double share_per_w = 0.0;
  double share_per_clock = 0.0;
  double bandwidth_price = 0.0;
  double power_price = 0.0;
  double clock_price = 0.0;
  double bandwidth_max = 0.0;
  double power_max = 0.0;
  double clock_max = 0.0;
  double user_power_max = 0.0;
  double snr_hz_per_w = 0.0;         // eta = gain / N0, rounded up.
  double upload_nat = 0.0;           // U ln 2, rounded down; so are all that follow.
  double download_nat = 0.0;         // V ln 2
  double user_weight_per_s = 0.0;    // wu = y times the weight of the user phase.
  double server_weight_per_s = 0.0;  // ws
  double energy_weight_per_j = 0.0;  // e = y w_e
  double server_delay_cost = 0.0;    // h1 = ws W_s / c
  double server_energy_cost = 0.0;   // h2 = e kappa W_s / c
  double fixed_cost = 0.0;           // Least local training, energies per operation, slot's price.

  bool downloads() const { return download_nat > 0.0; }
};

// Numbers near a maximiser: where the safe bounds are taken. Nothing rests on their accuracy but
// the bounds' tightness.
struct Point {
  double z = 0.0;  // Download's ln(1 + snr); 0 if there is none.
  double bandwidth_hz = 0.0;
  double clock_hz = 0.0;
  double upload_z = 0.0;          // Upload's ln(1 + snr).
  double share = 0.0;             // u
  double power_multiplier = 0.0;  // Of rho b <= power_max, where that binds.
  double value = 0.0;             // The objective here.
  double slope = 0.0;             // Its derivative along ln z.
};

// The clock that is worth most where the score's slope is `theta`.
double BestClock(const RowProblem& row, double theta, double start);

// The upload's ln(1 + signal / noise) that costs least at this bandwidth; 0 if nothing is sent.
double BestUploadZ(const RowProblem& row, double bandwidth_hz, double start);

// Relative, of what SolveAt returns. Most bounds have errors of second order in it; those without
// an interval of z to work on have errors of first order.
inline constexpr double kRough = 1e-6;
inline constexpr double kExact = 1e-14;

// The best (b, s) for a given z with b in [bandwidth_low, bandwidth_high]; the objective is concave
// in both. `near` gives the start.
Point SolveAt(const RowProblem& row,
              double z,
              double bandwidth_low,
              double bandwidth_high,
              const Point& near,
              double accuracy);

// The same for a given power q > 0 of a row that downloads, where all is concave in (b, s); sets z
// and no multiplier or slope.
Point SolveAtPower(const RowProblem& row,
                   double power_w,
                   double bandwidth_low,
                   double bandwidth_high,
                   const Point& near,
                   double accuracy);

// A local maximiser over everything, climbed to from near.z (or a start of its own if that is 0).
Point Climb(const RowProblem& row, const Point& near);

}  // namespace dashf::certificate
