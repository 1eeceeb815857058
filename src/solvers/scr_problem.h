// The planner's own view of a scenario: flat arrays, per server the shared capacities, per user the
// reachable servers and the allowed splits, and the cost model (docs/model.md (1)-(7)) on them.
// Everything here is derived data; the independent checker is problem/evaluation.h.
// Plain values, never changed after MakeScrProblem(): safe to read from any thread.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "plan/plan.h"
#include "scenario/scenario.h"

namespace dashf::solvers {

struct ScrProblem {
  DelayMode delay = DelayMode::kSum;
  double delay_weight_per_s = 1.0;
  double energy_weight_per_j = 1.0;
  double score_scale = 1.0;
  double score_gain = 1.0;

  // Users, 0..N-1.
  std::vector<double> tx_power_w_max;
  std::vector<double> clock_hz_max;
  std::vector<double> kappa_w_per_hz3;
  std::vector<int> layers;  // L of the user's profile.

  // Reachable servers: user n's are link_begin[n] .. link_begin[n + 1] - 1, by ascending server.
  std::vector<int> link_begin;
  std::vector<int> link_server;
  std::vector<double> link_snr_hz_per_w;  // g / N0, so that r = b log2(1 + snr p / b).

  // Allowed splits: user n's are split_begin[n] .. split_begin[n + 1] - 1, by ascending k.
  std::vector<int> split_begin;
  std::vector<int> split_layers;           // k.
  std::vector<double> split_local_cycle;   // W_u[k] / c of the user's device.
  std::vector<double> split_local_j;       // epsilon W_u[k]: what no clock changes.
  std::vector<double> split_server_flop;   // W_s[k].
  std::vector<double> split_upload_bit;    // U[k].
  std::vector<double> split_download_bit;  // V[k].

  // Servers, 0..M-1.
  std::vector<double> server_bandwidth_hz;
  std::vector<double> server_tx_power_w_max;
  std::vector<double> server_clock_hz_max;
  std::vector<double> server_flop_per_cycle;
  std::vector<double> server_kappa_w_per_hz3;
  std::vector<double> server_energy_j_per_flop;
  std::vector<int> server_slots;  // kNoSlotLimit where the scenario has none.

  static constexpr int kNoSlotLimit = std::numeric_limits<int>::max();

  int users() const { return static_cast<int>(tx_power_w_max.size()); }
  int servers() const { return static_cast<int>(server_bandwidth_hz.size()); }
  // Index into the link_ arrays, or -1 where the user cannot reach the server.
  int FindLink(int user, int server) const;
  // Index into the split_ arrays, or -1 where the user may not choose k.
  int FindSplit(int user, int local_layers) const;
};

// kInfeasible, naming the user, if one has no server or no allowed split.
Expected<ScrProblem> MakeScrProblem(const Scenario& scenario);

// x and k of one user; an Association has one per user and keeps to links, splits and slots.
struct Choice {
  int server = 0;
  int local_layers = 0;
  friend bool operator==(const Choice&, const Choice&) = default;
};
using Association = std::vector<Choice>;

Association AssociationOf(const Plan& plan);
bool IsAdmissible(const ScrProblem& problem, const Association& association);

// What one user's decision brings, by (1), (2), (4), (6). A phase that needs a resource it is not
// given takes infinitely long.
struct UserTotals {
  double user_phase_s = 0.0;    // T_local + T_up.
  double server_phase_s = 0.0;  // T_server + T_down.
  double energy_j = 0.0;        // All four phases.
  double score = 0.0;
};
UserTotals TotalsOf(const ScrProblem& problem, int user, const Decision& decision);

struct PlanTotals {
  double score = 0.0;
  double cost = 0.0;  // (5).
  double delay_s = 0.0;
  double energy_j = 0.0;

  double Scr() const { return cost > 0.0 ? score / cost : 0.0; }
};
PlanTotals TotalsOf(const ScrProblem& problem, const Plan& plan);

}  // namespace dashf::solvers
