// One user's part of the resource step's barrier problem, with derivatives. Internal to the module.
//
// Variables: x = (beta, theta, sigma, t): the shares b / B_m, q / P_m, s / F_m and, in makespan
// mode, the upload time; and common to all users the barriers T = (T_u, T_s). Minimised is
//   -score + y (delay and energy) - mu (sum of logarithms of the user's own slacks);
// capacities and the barriers' own cost belong to the caller. With e(v) = v's energy (4):
//   * upload, sum mode: min over p of (w_t + w_e p) U / r(b, p) is convex in b and has the closed
//     form of docs/dashf.md (Lambert W), so p is no variable;
//   * upload, makespan: the energy b t (N0 / g)(2^(U / (b t)) - 1) is jointly convex in (b, t), and
//     so is the power limit U / t <= r(b, P_n);
//   * local training, makespan: it lasts T_u - t, at the clock that just fills this;
//   * download: the energy q V / r(b, q) alone is not convex. It is a concave function phi of the
//     ratio x = g q / (N0 b); the tangent of phi and the fractional technique (8) on x = A / B with
//     A ~ q, B = b majorise it. Derivatives here are the majorant's at the tight z, the value is
//     the true one, so every Newton step re-tightens z and descends on the true function.
// The upload needs no z at all, and (8) is taken on q / b instead of q V / r, because at low SNR
// the energy hardly depends on q: both are tighter than (8) on every ratio.
#pragma once

#include "opt/block_arrow.h"
#include "solvers/scr_problem.h"

namespace dashf::solvers::internal {

// Prices of a user's time and energy. In sum mode both phases cost w_t; the Lagrangian of makespan
// mode prices them apart (docs/model.md (9)).
struct TimePrices {
  double user_phase_per_s = 0.0;
  double server_phase_per_s = 0.0;
};

struct UserTerms {
  int server = 0;
  bool uses_bandwidth = false, uses_power = false, uses_clock = false;  // The brackets of (6).
  bool uploads = false, trains = false;                                 // U > 0, W_u > 0.
  bool barriers = false;  // Makespan: phases are limited by T, not priced.
  double score_scale = 0.0, score_gain = 0.0;

  // In shares: r = B beta log2(1 + x), x = snr / beta (upload at p = P_n) or snr theta / beta.
  double upload_s = 0.0;         // U ln2 / B.
  double upload_snr = 0.0;       // g P_n / (N0 B).
  double upload_branch = 0.0;    // w_t g / (w_e N0 B); infinite where w_e = 0.
  double upload_energy = 0.0;    // y w_e U ln2 N0 / g.
  double upload_cost_max = 0.0;  // y (w_t + w_e P_n): per second at full power.
  double upload_time = 0.0;      // y w_t.
  double download_s = 0.0;       // V ln2 / B.
  double download_snr = 0.0;     // g P_m / (N0 B).
  double download_time = 0.0;    // y w_t; 0 with barriers.
  double download_energy = 0.0;  // y w_e P_m.
  double clock_s = 0.0;          // W_s / (c F_m).
  double clock_time = 0.0;       // y w_t; 0 with barriers.
  double clock_energy = 0.0;     // y w_e kappa F_m^2 W_s / c.
  double local_s_min = 0.0;      // W_u / (c F_n).
  double local_energy = 0.0;     // y w_e kappa (W_u / c)^3.
  // What no share and no barrier changes: y w_e times the energies per operation and, in sum mode,
  // y times the least of w_t T + w_e E of the local training.
  double fixed_cost = 0.0;
};

UserTerms MakeUserTerms(const ScrProblem& problem,
                        int user,
                        const Choice& choice,
                        double y,
                        const TimePrices& prices,
                        bool barriers);
// The same for indices into the problem's link_ and split_ arrays.
UserTerms MakeUserTerms(const ScrProblem& problem,
                        std::size_t user,
                        std::size_t link,
                        std::size_t split,
                        double y,
                        const TimePrices& prices,
                        bool barriers);

// ln(1 + x) - x / (1 + x), without cancellation.
double LogExcess(double x);

// A function of one variable at a point: value, slope, curvature.
struct Jet1 {
  double value = 0.0, d = 0.0, dd = 0.0;
};
// Sum mode's upload cost as a function of the bandwidth share beta > 0: convex.
Jet1 UploadCost(const UserTerms& terms, double beta);

// Closed forms of sum mode (docs/dashf.md). The clock that minimises w_t W / (c f) +
// w_e kappa f^2 W / c, and the power that minimises (w_t + w_e p) / r(b, p) at bandwidth b.
double BestClockHz(double clock_hz_max, double kappa_w_per_hz3, double w_t, double w_e);
double BestPowerW(
    double power_w_max, double bandwidth_hz, double snr_hz_per_w, double w_t, double w_e);

// Where delay costs nothing (w_t = 0), slower is always cheaper and no minimum is attained. Time is
// then priced at a small share of the weakest transmitter's power, 1e-15 with the sum of delays and
// 1e-6 with the makespan: the energy ends within about 1e-5 (1e-4) of its infimum and every phase
// ends.
double EffectiveDelayWeight(const ScrProblem& problem);

using Point = Eigen::Vector4d;     // (beta, theta, sigma, t); unused entries are 0.
using Barriers = Eigen::Vector2d;  // (T_u, T_s).

// The decision with these shares and the closed-form f and p at delay weight w_t.
Decision DecideAtPrices(
    const ScrProblem& problem, int user, const Choice& choice, const Point& shares, double w_t);

// Server training + download, which the barrier T_s limits.
double ServerPhaseS(const UserTerms& terms, const Point& x);

// How many logarithms the user's terms have: mu times this is their share of the duality gap.
int BarrierCount(const UserTerms& terms);

// The value; +infinity outside the domain.
double Value(const UserTerms& terms, const Point& x, const Barriers& barriers, double mu);

// Sets the block's hessian, cross and gradient, and adds the user's part to the border's.
void AddDerivatives(const UserTerms& terms,
                    const Point& x,
                    const Barriers& barriers,
                    double mu,
                    opt::ArrowBlock* block,
                    opt::ArrowSystem* system);

}  // namespace dashf::solvers::internal
