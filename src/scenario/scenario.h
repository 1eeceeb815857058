// The world as data: users, edge servers, split profiles and channel gains (docs/model.md).
// SI units throughout. A Scenario that passed Validate() keeps every rule stated here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace dashf {

enum class DelayMode {
  kSum,       // Delay = sum over users of all four phases.
  kMakespan,  // Delay = max of the user phases + max of the server phases (barriers).
};

// Cost = delay_weight * Delay + energy_weight * Energy (5); score a ln(1 + c (...)) (6).
struct Objective {
  DelayMode delay = DelayMode::kSum;
  double delay_weight_per_s = 1.0;   // w_t >= 0; at least one of the two weights is positive.
  double energy_weight_per_j = 1.0;  // w_e >= 0.
  double score_scale = 1.0;          // a > 0.
  double score_gain = 1.0;           // c > 0.
  bool all_local_allowed = true;     // May a user train every layer itself (k = L)?
};

// T = W / (c f), E = kappa f^2 W / c + epsilon W (1). Two models of a computer's energy: a power
// that grows with the clock's cube (epsilon = 0), or a constant energy per operation (kappa = 0).
struct Compute {
  double clock_hz_max = 0.0;       // > 0.
  double flop_per_cycle = 0.0;     // > 0.
  double kappa_w_per_hz3 = 0.0;    // >= 0.
  double energy_j_per_flop = 0.0;  // epsilon >= 0.
};

struct Position {
  double x_m = 0.0;
  double y_m = 0.0;
};

struct User {
  std::string id;
  std::string name;  // Free text, for people; may be empty.
  Position position_m;
  double tx_power_w_max = 0.0;  // > 0.
  Compute compute;
  double memory_bytes_max = 0.0;  // > 0; split k is allowed only if local_memory_bytes[k] fits.
  int profile = 0;                // Index into Scenario::profiles.
};

struct Server {
  std::string id;
  std::string name;  // Free text, for people; may be empty.
  Position position_m;
  double bandwidth_hz = 0.0;    // > 0, shared by its users.
  double tx_power_w_max = 0.0;  // > 0, shared.
  std::optional<int> slots;     // How many users it admits; none: no limit.
  Compute compute;              // The clock is shared.
};

// One row per split k = 0..L. local_flop[0] = server_flop[L] = upload_bit[L] = download_bit[L] = 0.
struct SplitProfile {
  std::string name;
  std::vector<double> local_flop;          // W_u, FLOP.
  std::vector<double> server_flop;         // W_s, FLOP.
  std::vector<double> upload_bit;          // U, bit.
  std::vector<double> download_bit;        // V, bit.
  std::vector<double> local_memory_bytes;  // Peak memory of the user phase.

  int layers() const { return static_cast<int>(local_flop.size()) - 1; }  // L >= 1.
};

struct Link {
  int server = 0;
  double gain = 0.0;  // Power gain g > 0; pairs that cannot reach each other have no link.
};

struct Scenario {
  std::string name;
  Objective objective;
  double noise_density_w_per_hz = 0.0;  // N0 > 0, a density.
  std::vector<User> users;
  std::vector<Server> servers;
  std::vector<SplitProfile> profiles;
  std::vector<std::vector<Link>> links;  // Per user, by ascending server index.

  const SplitProfile& ProfileOf(const User& user) const {
    return profiles[static_cast<std::size_t>(user.profile)];
  }
  // May this user choose split k? Memory and objective.all_local_allowed decide.
  bool SplitAllowed(const User& user, int k) const {
    const SplitProfile& table = ProfileOf(user);
    return table.local_memory_bytes[static_cast<std::size_t>(k)] <= user.memory_bytes_max &&
           (k < table.layers() || objective.all_local_allowed);
  }
};

// "s3", or "s3 (Federation Square)" where there is a name: for tables and pages.
template <class Node>
std::string Label(const Node& node) {
  return node.name.empty() ? node.id : node.id + " (" + node.name + ")";
}

// Ids become names of files and certificates.
bool IsNodeId(std::string_view id);
inline constexpr std::string_view kNodeIdRule =
    "must be 1 to 64 letters, digits, '_', '-' or '.', not starting with '-' or '.'";

// Every rule above. kBadInput names the member and the rule.
Expected<void> ValidateRules(const Scenario& scenario);
// The same, and that there is a plan. kInfeasible names the users and servers of one contradiction;
// FindConflicts() (scenario/feasibility.h) finds all.
Expected<void> Validate(const Scenario& scenario);

}  // namespace dashf
