// Scenarios from a seed: the default study of docs/model.md, and the real geography of the
// EUA data set. docs/study.md says how every constant was chosen. Pure: safe from any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "scenario/channel.h"
#include "scenario/gain_matrix.h"
#include "scenario/profile_io.h"
#include "scenario/scenario.h"

namespace dashf {

// What computing takes (1); both draw a device's full power at its full clock.
enum class ComputeEnergy {
  kCubicPower,      // kappa f^3: a lower clock saves energy, so sharing a server's does.
  kConstantPerFlop  // The same energy per operation at any clock.
};

struct GeneratorOptions {
  std::string name = "default study";
  DelayMode delay = DelayMode::kSum;
  bool all_local_allowed = false;
  ComputeEnergy compute_energy = ComputeEnergy::kCubicPower;
  double area_side_m = 500.0;       // Of the square that GenerateStudy places everyone in, > 0.
  double bandwidth_hz = 20e6;       // Per server, > 0.
  double user_tx_power_w = 0.2;     // > 0.
  double server_tx_power_w = 10.0;  // Per server, > 0.
  Channel channel;                  // What places make of gains.
  // Measured or simulated gains instead, one row per user and one column per server; none.
  std::shared_ptr<const GainMatrix> gains;
  // A measured profile replaces the analytic one: its work, bits and memory, and devices that are
  // shares of its machine, the fastest user's being `machine_share`.
  std::optional<MeasuredProfile> profile;
  double machine_share = 1.0;  // > 0; used with `profile` alone.
  // One data set per user; empty: drawn from the study's range.
  std::vector<DataSetSize> data_sets;
};

// Users and servers placed at random in a square; each user may reach all servers, or its
// `candidates` strongest. kUsage names an option out of range.
Expected<Scenario> GenerateStudy(int users,
                                 int servers,
                                 const GeneratorOptions& options,
                                 const Rng& rng,
                                 std::optional<int> candidates = {});

// What is stated of a user or server at a given place; the rest is drawn.
struct Equipment {
  std::string id, name;                                   // Empty: "u0", "s0" and so on; none.
  std::optional<double> tx_power_w_max, clock_hz_max;     // > 0.
  std::optional<double> bandwidth_hz, coverage_radius_m;  // > 0; of servers.
  std::optional<int> slots;                               // >= 0; of servers.
  std::optional<double> memory_bytes_max;                 // > 0; of users.
  std::shared_ptr<const MeasuredProfile> profile;         // Of users; none: the options'.
};

struct Geography {
  std::vector<Position> users;
  std::vector<Position> servers;
  // One per place, or none at all.
  std::vector<Equipment> user_equipment = {}, server_equipment = {};
};

// Users and servers at given places; each user may reach its `candidates` strongest servers, and of
// those with a coverage radius the ones that it is within. Where a server's slots are stated, they
// stay; the others are granted enough. kUsage, kBadInput or kInfeasible.
Expected<Scenario> GenerateAt(const Geography& places,
                              int candidates,
                              const GeneratorOptions& options,
                              const Rng& rng);

}  // namespace dashf
