#include "scenario/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <utility>

#include "scenario/analytic_profile.h"
#include "scenario/link_drawing.h"
#include "scenario/slot_matching.h"

namespace dashf {
namespace {

// Radio.
constexpr double kThermalNoiseDbmPerHz = -174.0;
constexpr double kNoiseFigureDb = 7.0;

// Devices: sustained rates and powers of phones, and of edge servers shared by five users each.
constexpr double kUserFlopPerSMin = 0.6e12;
constexpr double kUserFlopPerSMax = 2.2e12;
constexpr double kUserPowerWMin = 3.0;
constexpr double kUserPowerWMax = 6.0;
constexpr double kUserClockHz = 1.0e9;
constexpr double kServerFlopPerSMin = 1.0e12;
constexpr double kServerFlopPerSMax = 2.0e12;
constexpr double kServerClockHz = 1.5e9;
constexpr double kServerJoulePerFlop = 1e-11;  // 10 W per TFLOP/s at full clock.
constexpr double kUsersPerServer = 5.0;
constexpr double kMemoryBytes[] = {1.5e9, 2e9, 3e9, 4e9};  // What a phone leaves to one program.
constexpr double kMemoryLayerShare[] = {0.3, 0.5, 0.875, 1.0};  // Layers of the 1B model in that.

// Slots.
constexpr double kSlotsPerUser = 1.4;
constexpr double kSlotsGrowth = 1.2;

// Data sets.
constexpr double kTokensMin = 50e3;
constexpr double kTokensMax = 150e3;
constexpr double kBitPerToken = 32.0;  // About four characters.

// Objective: what a user's second, a joule and a share are worth against each other.
constexpr double kDelayWeightPerS = 1e-3;
constexpr double kEnergyWeightPerJ = 1e-4;
constexpr double kScoreScale = 1.0;
constexpr double kScoreGain = 10.0;

Expected<void> CheckOptions(const GeneratorOptions& options,
                            std::size_t users,
                            std::size_t servers) {
  const std::pair<const char*, double> positives[] = {
      {"area_side_m", options.area_side_m},
      {"bandwidth_hz", options.bandwidth_hz},
      {"user_tx_power_w", options.user_tx_power_w},
      {"server_tx_power_w", options.server_tx_power_w},
      {"machine_share", options.machine_share}};
  for (const auto& [name, value] : positives) {
    if (!(value > 0.0 && std::isfinite(value))) {
      return Fail(ErrorKind::kUsage, name, fmt::format("must be a number > 0, got {}", value));
    }
  }
  if (!options.data_sets.empty() && options.data_sets.size() != users) {
    return Fail(ErrorKind::kUsage,
                "data_sets",
                fmt::format("must be one per user ({}), got {}", users, options.data_sets.size()));
  }
  if (options.gains && (options.gains->users != users || options.gains->servers != servers)) {
    return Fail(ErrorKind::kBadInput,
                "gains",
                fmt::format("must be {} users x {} servers, are {} x {}",
                            users,
                            servers,
                            options.gains->users,
                            options.gains->servers));
  }
  return ValidateChannel(options.channel);
}

// kappa = P / f^3 draws P at full clock f (1).
Compute MakeCompute(double clock_hz, double flop_per_s, double power_w) {
  return {.clock_hz_max = clock_hz,
          .flop_per_cycle = flop_per_s / clock_hz,
          .kappa_w_per_hz3 = power_w / (clock_hz * clock_hz * clock_hz)};
}

// The same machine at a share of its clock.
Compute ShareOf(const MachineCompute& machine, double share) {
  return {.clock_hz_max = share * machine.clock_hz,
          .flop_per_cycle = machine.flop_per_cycle,
          .kappa_w_per_hz3 = machine.kappa_w_per_hz3};
}

double FullPowerW(const Compute& compute) {
  return compute.kappa_w_per_hz3 * std::pow(compute.clock_hz_max, 3.0);
}

Compute AtConstantEnergyPerFlop(const Compute& compute) {
  return {
      .clock_hz_max = compute.clock_hz_max,
      .flop_per_cycle = compute.flop_per_cycle,
      .energy_j_per_flop = FullPowerW(compute) / (compute.clock_hz_max * compute.flop_per_cycle)};
}

// A user's own, else the options', else nullptr: the analytic one.
const MeasuredProfile* ProfileOf(const Geography& places,
                                 const GeneratorOptions& options,
                                 std::size_t n) {
  if (!places.user_equipment.empty() && places.user_equipment[n].profile) {
    return places.user_equipment[n].profile.get();
  }
  return options.profile ? &*options.profile : nullptr;
}

DataSetSize DrawDataSet(const GeneratorOptions& options,
                        const MeasuredProfile* profile,
                        std::size_t n,
                        const Rng& rng) {
  if (!options.data_sets.empty()) return options.data_sets[n];
  Rng stream = rng.Stream("tokens").Stream(n);
  if (profile != nullptr) {
    const double tokens = std::round(stream.Uniform(0.5, 1.5) * profile->tokens_measured);
    return {tokens, tokens * profile->data_bit_per_token};
  }
  const double tokens = std::round(stream.Uniform(kTokensMin, kTokensMax));
  return {tokens, tokens * kBitPerToken};
}

User DrawUser(const GeneratorOptions& options,
              const MeasuredProfile* profile,
              std::size_t n,
              const Rng& rng) {
  Rng stream = rng.Stream("user devices").Stream(n);
  const double flop_per_s = stream.Uniform(kUserFlopPerSMin, kUserFlopPerSMax);
  const double power_w = stream.Uniform(kUserPowerWMin, kUserPowerWMax);
  const auto memory = stream.Below(std::size(kMemoryBytes));
  User user;
  user.id = fmt::format("u{}", n);
  user.tx_power_w_max = options.user_tx_power_w;
  user.profile = static_cast<int>(n);
  if (profile != nullptr) {
    const double share = options.machine_share * flop_per_s / kUserFlopPerSMax;
    user.compute = ShareOf(profile->machine, share);
    // As many of its model's layers as the same phone holds of the analytic profile's.
    const double layers = kMemoryLayerShare[memory] * profile->layers;
    const auto& bytes = profile->local_memory_bytes;
    user.memory_bytes_max = std::max(
        1.0, *std::max_element(bytes.begin(), bytes.begin() + 1 + std::lround(std::ceil(layers))));
  } else {
    user.compute = MakeCompute(kUserClockHz, flop_per_s, power_w);
    user.memory_bytes_max = kMemoryBytes[memory];
  }
  return user;
}

Server DrawServer(const GeneratorOptions& options,
                  std::size_t m,
                  double users_per_server,
                  const Rng& rng) {
  Rng stream = rng.Stream("server devices").Stream(m);
  const double flop_per_s =
      stream.Uniform(kServerFlopPerSMin, kServerFlopPerSMax) * users_per_server / kUsersPerServer;
  Server server;
  server.id = fmt::format("s{}", m);
  server.bandwidth_hz = options.bandwidth_hz;
  server.tx_power_w_max = options.server_tx_power_w;
  server.compute =
      options.profile
          ? ShareOf(options.profile->machine, options.machine_share * flop_per_s / kUserFlopPerSMax)
          : MakeCompute(kServerClockHz, flop_per_s, kServerJoulePerFlop * flop_per_s);
  return server;
}

// The study's weights; with a measured profile they are scaled so that a mean data set's
// all-server training and a mean phone's power weigh what they weigh in the study.
Objective MakeObjective(const GeneratorOptions& options, std::size_t users) {
  Objective objective;
  objective.delay = options.delay;
  objective.delay_weight_per_s = kDelayWeightPerS;
  objective.energy_weight_per_j = kEnergyWeightPerJ;
  objective.score_scale = kScoreScale;
  objective.score_gain = kScoreGain;
  objective.all_local_allowed = options.all_local_allowed;
  if (options.profile) {
    const MeasuredProfile& measured = *options.profile;
    const double tokens = (kTokensMin + kTokensMax) / 2.0;
    const double study_s =
        AnalyticProfile(kLlama1b, {}, {tokens, 0.0}, "").server_flop[0] / kUserFlopPerSMax;
    const Compute machine = ShareOf(measured.machine, options.machine_share);
    const double measured_s = measured.server_flop_per_token[0] * measured.tokens_measured /
                              (machine.flop_per_cycle * machine.clock_hz_max);
    const double power_w = FullPowerW(machine);
    if (measured_s > 0.0) {
      objective.delay_weight_per_s *= study_s / measured_s;
      objective.energy_weight_per_j *= study_s / measured_s;
    }
    if (power_w > 0.0) {
      objective.energy_weight_per_j *= (kUserPowerWMin + kUserPowerWMax) / 2.0 / power_w;
    }
  }
  // A barrier's second is waited for by every user.
  if (options.delay == DelayMode::kMakespan) {
    objective.delay_weight_per_s *= static_cast<double>(users);
  }
  return objective;
}

// A share of spare slots everywhere, and more where users crowd: until everyone finds one. Servers
// whose slots are stated keep them.
void GrantSlots(const std::vector<Equipment>& equipment, Scenario* scenario) {
  const int users = static_cast<int>(scenario->users.size());
  const auto stated = [&](std::size_t m) { return !equipment.empty() && equipment[m].slots; };
  double slots = kSlotsPerUser * users / static_cast<double>(scenario->servers.size());
  for (;; slots *= kSlotsGrowth) {
    const int granted = std::min(static_cast<int>(std::ceil(slots)), users);
    for (std::size_t m = 0; m < scenario->servers.size(); ++m) {
      scenario->servers[m].slots = stated(m) ? equipment[m].slots : granted;
    }
    if (granted == users || MatchSlots(*scenario).shortages.empty()) return;
  }
}

// What both kinds of places may state.
template <class Node>
void EquipNode(const Equipment& equipment, Node* node) {
  if (!equipment.id.empty()) node->id = equipment.id;
  node->name = equipment.name;
  if (equipment.tx_power_w_max) node->tx_power_w_max = *equipment.tx_power_w_max;
  // The same operations per cycle and power per cubed clock: a faster clock is a faster machine.
  if (equipment.clock_hz_max) node->compute.clock_hz_max = *equipment.clock_hz_max;
}

void Equip(const Geography& places, Scenario* scenario) {
  for (std::size_t m = 0; m < places.server_equipment.size(); ++m) {
    const Equipment& equipment = places.server_equipment[m];
    EquipNode(equipment, &scenario->servers[m]);
    if (equipment.bandwidth_hz) scenario->servers[m].bandwidth_hz = *equipment.bandwidth_hz;
  }
  for (std::size_t n = 0; n < places.user_equipment.size(); ++n) {
    const Equipment& equipment = places.user_equipment[n];
    EquipNode(equipment, &scenario->users[n]);
    if (equipment.memory_bytes_max) {
      scenario->users[n].memory_bytes_max = *equipment.memory_bytes_max;
    }
  }
}

std::vector<Position> PlaceInSquare(int count, double side_m, const Rng& rng) {
  std::vector<Position> positions;
  for (int i = 0; i < count; ++i) {
    Rng stream = rng.Stream(static_cast<std::uint64_t>(i));
    const double x_m = stream.Uniform(0.0, side_m);
    positions.push_back({x_m, stream.Uniform(0.0, side_m)});
  }
  return positions;
}

void DrawNodes(const Geography& places,
               const GeneratorOptions& options,
               std::size_t candidates,
               const Rng& rng,
               Scenario* scenario) {
  const std::size_t users = places.users.size(), servers = places.servers.size();
  const double users_per_server = static_cast<double>(users) / static_cast<double>(servers);
  for (std::size_t m = 0; m < servers; ++m) {
    scenario->servers.push_back(DrawServer(options, m, users_per_server, rng));
    scenario->servers.back().position_m = places.servers[m];
  }
  for (std::size_t n = 0; n < users; ++n) {
    const MeasuredProfile* profile = ProfileOf(places, options, n);
    scenario->users.push_back(DrawUser(options, profile, n, rng));
    scenario->users.back().position_m = places.users[n];
    const DataSetSize data = DrawDataSet(options, profile, n, rng);
    const std::string name = fmt::format("p{}", n);
    scenario->profiles.push_back(profile != nullptr ? ScaleProfile(*profile, data, name)
                                                    : AnalyticProfile(kLlama1b, {}, data, name));
    scenario->links.push_back(DrawLinks(places, options, n, candidates, rng));
  }
}

}  // namespace

Expected<Scenario> GenerateStudy(int users,
                                 int servers,
                                 const GeneratorOptions& options,
                                 const Rng& rng,
                                 std::optional<int> candidates) {
  const Geography places{
      .users = PlaceInSquare(users, options.area_side_m, rng.Stream("user placement")),
      .servers = PlaceInSquare(servers, options.area_side_m, rng.Stream("server placement"))};
  return GenerateAt(places, candidates.value_or(servers), options, rng);
}

Expected<Scenario> GenerateAt(const Geography& places,
                              int candidates,
                              const GeneratorOptions& options,
                              const Rng& rng) {
  const std::size_t users = places.users.size();
  const std::size_t servers = places.servers.size();
  if (users < 1) return Fail(ErrorKind::kUsage, "users", "must be at least 1");
  if (servers < 1) return Fail(ErrorKind::kUsage, "servers", "must be at least 1");
  if (candidates < 1) {
    return Fail(
        ErrorKind::kUsage, "candidates", fmt::format("must be at least 1, got {}", candidates));
  }
  if (const auto sound = CheckOptions(options, users, servers); !sound) {
    return tl::unexpected(sound.error());
  }

  Scenario scenario;
  scenario.name = options.name;
  scenario.objective = MakeObjective(options, users);
  scenario.noise_density_w_per_hz =
      1e-3 * std::pow(10.0, (kThermalNoiseDbmPerHz + kNoiseFigureDb) / 10.0);
  DrawNodes(places, options, static_cast<std::size_t>(candidates), rng, &scenario);
  if (options.compute_energy == ComputeEnergy::kConstantPerFlop) {
    for (User& user : scenario.users) user.compute = AtConstantEnergyPerFlop(user.compute);
    for (Server& server : scenario.servers) {
      server.compute = AtConstantEnergyPerFlop(server.compute);
    }
  }
  Equip(places, &scenario);
  GrantSlots(places.server_equipment, &scenario);
  if (const auto valid = Validate(scenario); !valid) return tl::unexpected(valid.error());
  return scenario;
}

}  // namespace dashf
