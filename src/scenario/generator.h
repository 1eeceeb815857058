// Scenarios from a seed: the default study of formulation section 5, and the real geography of the
// EUA data set. docs/study.md says how every constant was chosen. Pure: safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "scenario/profile_io.h"
#include "scenario/scenario.h"

namespace dashf {

struct GeneratorOptions {
  std::string name = "default study";
  DelayMode delay = DelayMode::kSum;
  bool all_local_allowed = false;
  double bandwidth_hz = 20e6;       // Per server, > 0.
  double user_tx_power_w = 0.2;     // > 0.
  double server_tx_power_w = 10.0;  // Per server, > 0.
  // A measured profile replaces the analytic one: its work, bits and memory, and devices that are
  // fractions of its machine.
  std::optional<MeasuredProfile> profile;
  // One training-set size per user; empty: drawn from the study's range.
  std::vector<DataSetSize> data_sets;
};

// Users and servers placed at random in a square. kUsage if a number is out of range.
Expected<Scenario> GenerateStudy(int users,
                                 int servers,
                                 const GeneratorOptions& options,
                                 const Rng& rng);

// Users and servers at given places; each user may reach its `candidates` strongest servers.
struct Geography {
  std::vector<Position> users;
  std::vector<Position> servers;
};
Expected<Scenario> GenerateAt(const Geography& places,
                              int candidates,
                              const GeneratorOptions& options,
                              const Rng& rng);

// The EUA data set's two CSV files, projected to metres around their common centroid.
Expected<Geography> ReadEua(const std::string& sites_path, const std::string& users_path);

}  // namespace dashf
