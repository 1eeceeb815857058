// dashf.round/1: what a round brought, for every user and server (docs/protocol.md). The
// coordinator writes it when the round has ended, whichever way; `dashf run` adds the data,
// the references and the bound. Any measured number may be absent.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/plan.h"
#include "round/factors.h"
#include "scenario/scenario.h"

namespace dashf {

struct PhaseSeconds {
  std::optional<double> local, upload, server, download;
};

// On held-out data. Loss in nat per answer token; the others are shares in [0, 1].
struct Quality {
  std::optional<double> loss, exact_match, choice_accuracy;
};

struct UserRecord {
  std::string id;
  std::string server;  // Empty: never planned.
  int local_layers = 0;
  int layers = 0;
  std::optional<std::string> failure;               // None: done.
  PhaseSeconds predicted_s;                         // By the plan, at its clocks and rates.
  PhaseSeconds measured_s;                          // By this machine's clock.
  std::optional<double> local_cpu_s, server_cpu_s;  // Processor seconds of the training phases.
  // Of the same, by a meter of the node's machine, all of whose draw counts while steps are made.
  std::optional<double> local_energy_j, server_energy_j;
  // Comparable with predicted_s: if emulated, or if plans learn, measured_s in the plan's seconds;
  // else the measured work and bytes at the plan's clocks and rates.
  PhaseSeconds measured_at_planned_s;
  std::optional<std::uint64_t> upload_bytes, download_bytes;
  Quality before, after;
  NodeFactors factors;  // That it has shown up to this round's end.
};

struct ServerRecord {
  std::string id;
  std::optional<std::string> failure;
  NodeFactors factors = {};  // As a user's.
};

struct ReferenceRecord {  // One user's held-out data under another way of training.
  std::string id;
  Quality quality;
};

struct References {
  std::vector<ReferenceRecord> all_server;   // All layers on the user's own data.
  std::vector<ReferenceRecord> centralised;  // All layers on all users' data.
};

// What was taken of the users' data, training and held out, of one kind of samples.
struct DataRecord {
  std::string format;  // Its name in docs/data.md.
  std::uint64_t samples = 0;
  std::uint64_t sequences = 0;   // Of tokens, that became of them.
  std::uint64_t shortened = 0;   // Of which something was cut off.
  std::uint64_t unanswered = 0;  // Samples whose answers are all empty.
  int tokens_max = 0;
  std::vector<std::string> keys_not_read;
};

// A phase of an emulated round that took longer than it was to, on the wall's clock.
struct LatePhase {
  std::string user;
  std::string phase;  // "local", "upload", "server" or "download".
  double planned_s = 0.0, took_s = 0.0;
  // Of a training: cores of the machine that it asked for, if the profile knows them, and that it
  // used while it went on.
  std::optional<double> cores_asked, cores_had;
};
inline constexpr double kLate = 0.05;  // By more than this share of its time.

// Of a round in which every phase went as fast as the plan says and no faster.
struct EmulationRecord {
  double time_scale = 1.0;           // Seconds of the wall's clock for one of the plan's; > 0.
  double cores_asked = 0.0;          // That the plan keeps busy at the same time, at the most,
  int cores = 0;                     // and that the machine has; 0: not known.
  double node_cores_asked = 0.0;     // Of those asked, the most of one node.
  std::vector<LatePhase> late = {};  // Where the machine was not as fast as the plan.
};

struct RoundRecord {
  std::optional<std::string> scenario_sha256;  // None: the round ended before it was planned.
  std::uint32_t number = 1;                    // Of the round.
  std::string model;
  std::uint64_t seed = 1;
  std::optional<EmulationRecord> emulation;
  std::vector<DataRecord> data;  // Empty from a coordinator, which sees none.
  std::vector<UserRecord> users;
  std::vector<ServerRecord> servers;
  std::optional<References> references;
  std::optional<double> exhaustive_scr;  // The best SCR there is, where it could be computed,
  std::optional<double> gap;             // and how far below it the plan lies, relative.

  bool Done() const;  // Every user is.
  // measured_at_planned_s is the wall's clock: the round was emulated, or nodes' factors are
  // learnt.
  bool ByTheClock() const;
};

// Fills measured_at_planned_s of a user that was planned: compute phases last as long as the same
// work at the plan's clock, W / (c f) with W = processor seconds x the machine's rate; transfers as
// long as the bytes sent at the plan's rate, that is predicted seconds x bytes sent / bytes
// planned.
void AtPlannedRates(const Scenario& scenario,
                    std::size_t user,
                    const Decision& decision,
                    double machine_flop_per_s,
                    UserRecord* record);

// |measured_at_planned_s / predicted_s - 1| of the users for whom both are known and > 0.
std::vector<double> PredictionErrors(const RoundRecord& record,
                                     std::optional<double> PhaseSeconds::*phase);

// Null where nothing has been shown; of each kind of work that has, `factor`, `spread`, `phases`.
nlohmann::ordered_json ToJson(const NodeFactors& factors);

std::string WriteRound(const RoundRecord& record);
Expected<RoundRecord> ParseRound(const std::string& name, std::string_view bytes);

}  // namespace dashf
