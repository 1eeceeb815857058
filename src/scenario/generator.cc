#include "scenario/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <utility>

#include "scenario/analytic_profile.h"
#include "scenario/slot_matching.h"

namespace dashf {
namespace {

// Radio.
constexpr double kThermalNoiseDbmPerHz = -174.0;
constexpr double kNoiseFigureDb = 7.0;
constexpr double kDistanceMinM = 10.0;
constexpr double kFadeMin = 1e-6;  // A draw of 0 would cut the link for good.
constexpr double kFadeMax = 37.0;  // Above 53 ln 2, the largest draw.

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

// 3GPP TR 36.814 urban macro at 2 GHz, as the sister papers use it: 128.1 + 37.6 log10(d / 1 km)
// dB. Nearer than 10 m the distance is clamped, so that the gain stays finite and far below 1.
double PathGain(double distance_m) {
  const double d_km = std::max(distance_m, kDistanceMinM) / 1000.0;
  return std::pow(10.0, -(128.1 + 37.6 * std::log10(d_km)) / 10.0);
}

// Where the path gain, not clamped, falls to `gain`.
double ReachM(double gain) {
  return 1000.0 * std::pow(10.0, (-10.0 * std::log10(gain) - 128.1) / 37.6);
}

Expected<void> CheckOptions(const GeneratorOptions& options, std::size_t users) {
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
  return {};
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

DataSetSize DrawDataSet(const GeneratorOptions& options, std::size_t n, const Rng& rng) {
  if (!options.data_sets.empty()) return options.data_sets[n];
  Rng stream = rng.Stream("tokens").Stream(n);
  if (options.profile) {
    const double tokens = std::round(stream.Uniform(0.5, 1.5) * options.profile->tokens_measured);
    return {tokens, tokens * options.profile->data_bit_per_token};
  }
  const double tokens = std::round(stream.Uniform(kTokensMin, kTokensMax));
  return {tokens, tokens * kBitPerToken};
}

User DrawUser(const GeneratorOptions& options, std::size_t n, const Rng& rng) {
  Rng stream = rng.Stream("user devices").Stream(n);
  const double flop_per_s = stream.Uniform(kUserFlopPerSMin, kUserFlopPerSMax);
  const double power_w = stream.Uniform(kUserPowerWMin, kUserPowerWMax);
  const auto memory = stream.Below(std::size(kMemoryBytes));
  User user;
  user.id = fmt::format("u{}", n);
  user.tx_power_w_max = options.user_tx_power_w;
  user.profile = static_cast<int>(n);
  if (options.profile) {
    const double share = options.machine_share * flop_per_s / kUserFlopPerSMax;
    user.compute = ShareOf(options.profile->machine, share);
    // As many of its model's layers as the same phone holds of the analytic profile's.
    const double layers = kMemoryLayerShare[memory] * options.profile->layers;
    const auto& bytes = options.profile->local_memory_bytes;
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

// Path loss and Rayleigh fading to every server; the strongest `candidates` remain. Where these are
// few, servers too far for even the luckiest fade are passed over unseen.
std::vector<Link> DrawLinks(const Geography& places,
                            std::size_t n,
                            std::size_t candidates,
                            const Rng& rng) {
  const Rng fading = rng.Stream("fading").Stream(n);
  const auto weaker = [](const Link& a, const Link& b) { return a.gain > b.gain; };
  std::vector<Link> links;  // A heap with the weakest on top, once it is full.
  double distance2_max = std::numeric_limits<double>::infinity();
  for (std::size_t m = 0; m < places.servers.size(); ++m) {
    const double x_m = places.users[n].x_m - places.servers[m].x_m;
    const double y_m = places.users[n].y_m - places.servers[m].y_m;
    if (x_m * x_m + y_m * y_m > distance2_max) continue;
    const double fade = std::max(fading.Stream(m).Exponential(), kFadeMin);
    const Link link{static_cast<int>(m), PathGain(std::hypot(x_m, y_m)) * fade};
    if (links.size() == candidates) {
      if (link.gain <= links.front().gain) continue;
      std::pop_heap(links.begin(), links.end(), weaker);
      links.back() = link;
    } else {
      links.push_back(link);
    }
    std::push_heap(links.begin(), links.end(), weaker);
    if (links.size() == candidates && candidates < places.servers.size()) {
      const double reach_m = std::max(kDistanceMinM, ReachM(links.front().gain / kFadeMax));
      distance2_max = 1.001 * reach_m * reach_m;
    }
  }
  std::sort(
      links.begin(), links.end(), [](const Link& a, const Link& b) { return a.server < b.server; });
  return links;
}

// A share of spare slots everywhere, and more where users crowd: until everyone finds one.
void GrantSlots(Scenario* scenario) {
  const int users = static_cast<int>(scenario->users.size());
  double slots = kSlotsPerUser * users / static_cast<double>(scenario->servers.size());
  for (;; slots *= kSlotsGrowth) {
    const int granted = std::min(static_cast<int>(std::ceil(slots)), users);
    for (Server& server : scenario->servers) server.slots = granted;
    if (granted == users || MatchSlots(*scenario).shortages.empty()) return;
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
  if (const auto sound = CheckOptions(options, users); !sound) {
    return tl::unexpected(sound.error());
  }

  Scenario scenario;
  scenario.name = options.name;
  scenario.objective = MakeObjective(options, users);
  scenario.noise_density_w_per_hz =
      1e-3 * std::pow(10.0, (kThermalNoiseDbmPerHz + kNoiseFigureDb) / 10.0);
  const double users_per_server = static_cast<double>(users) / static_cast<double>(servers);
  for (std::size_t m = 0; m < servers; ++m) {
    scenario.servers.push_back(DrawServer(options, m, users_per_server, rng));
    scenario.servers.back().position_m = places.servers[m];
  }
  for (std::size_t n = 0; n < users; ++n) {
    scenario.users.push_back(DrawUser(options, n, rng));
    scenario.users.back().position_m = places.users[n];
    const DataSetSize data = DrawDataSet(options, n, rng);
    const std::string name = fmt::format("p{}", n);
    scenario.profiles.push_back(options.profile ? ScaleProfile(*options.profile, data, name)
                                                : AnalyticProfile(kLlama1b, {}, data, name));
    scenario.links.push_back(DrawLinks(places, n, static_cast<std::size_t>(candidates), rng));
  }
  if (options.compute_energy == ComputeEnergy::kConstantPerFlop) {
    for (User& user : scenario.users) user.compute = AtConstantEnergyPerFlop(user.compute);
    for (Server& server : scenario.servers) {
      server.compute = AtConstantEnergyPerFlop(server.compute);
    }
  }
  GrantSlots(&scenario);
  if (const auto valid = Validate(scenario); !valid) return tl::unexpected(valid.error());
  return scenario;
}

}  // namespace dashf
