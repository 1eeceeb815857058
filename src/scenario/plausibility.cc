#include "scenario/plausibility.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace dashf {
namespace {

// Beyond these a number is taken for another unit. Each leaves a margin of ten or more to what
// networks have.
constexpr double kPathLossDbMin = 20.0, kPathLossDbMax = 300.0;
constexpr double kUserPowerWMax = 5.0;      // Phones send 0.2 W, the strongest modems 3 W.
constexpr double kServerPowerWMax = 500.0;  // A macro site's antennas together send some 200 W.
constexpr double kBandwidthHzMin = 1e5;     // A resource block has 180 kHz.
constexpr double kBandwidthHzMax = 1e11;
constexpr double kClockHzMin = 1e6, kClockHzMax = 1e12;
constexpr double kFlopPerCycleMax = 1e8;
constexpr double kMemoryBytesMin = 1e4;
constexpr double kNoiseWPerHzMin = 1e-22, kNoiseWPerHzMax = 1e-16;  // Thermal: 4e-21 at 290 K.
constexpr double kResourceBlockHz = 180e3;

class Doubts {
 public:
  Doubts(std::string_view kind, std::string message)
      : doubt_{.kind = kind, .count = 0, .where = {}, .value = {}, .message = std::move(message)} {}

  // `where` is called for the first alone.
  template <class Where>
  void Add(std::optional<double> value, const Where& where) {
    if (doubt_.count++ > 0) return;
    doubt_.where = where();
    doubt_.value = value;
  }
  void Into(std::vector<Doubt>* doubts) const {
    if (doubt_.count > 0) doubts->push_back(doubt_);
  }

 private:
  Doubt doubt_;
};

template <class Node, class Get>
void CheckRange(const std::vector<Node>& nodes,
                std::string_view list,
                std::string_view member,
                std::pair<double, double> range,
                const Get& get,
                Doubts doubts,
                std::vector<Doubt>* found) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const double value = get(nodes[i]);
    if (value >= range.first && value <= range.second) continue;
    doubts.Add(value, [&] { return fmt::format("{}[{}].{}", list, i, member); });
  }
  doubts.Into(found);
}

std::string LinkPlace(const Scenario& scenario, std::size_t n, const Link& link) {
  return fmt::format("gain of user {} to server {}",
                     scenario.users[n].id,
                     scenario.servers[static_cast<std::size_t>(link.server)].id);
}

void CheckGains(const Scenario& scenario, std::vector<Doubt>* found) {
  Doubts loss("gain_like_path_loss_db",
              "more arrives than is sent; it looks like a path loss in dB, whose gain is "
              "10^(-loss / 10)");
  Doubts above("gain_above_1", "more arrives than is sent");
  Doubts below("link_below_noise",
               "at full power the signal in one resource block of 180 kHz is weaker than the noise "
               "there");
  Doubts cut_off("user_below_noise", "all of the user's links are below the noise");
  const double noise_w = scenario.noise_density_w_per_hz * kResourceBlockHz;
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    double best = 0.0;
    for (const Link& link : scenario.links[n]) {
      const auto where = [&] { return LinkPlace(scenario, n, link); };
      best = std::max(best, link.gain);
      if (link.gain > 1.0) {
        const bool db = link.gain >= kPathLossDbMin && link.gain <= kPathLossDbMax;
        (db ? loss : above).Add(link.gain, where);
      }
      if (scenario.users[n].tx_power_w_max * link.gain < noise_w) below.Add(link.gain, where);
    }
    if (!scenario.links[n].empty() && scenario.users[n].tx_power_w_max * best < noise_w) {
      cut_off.Add(best, [&] { return fmt::format("user {}", scenario.users[n].id); });
    }
  }
  for (const Doubts* doubts : {&loss, &above, &below, &cut_off}) doubts->Into(found);
}

void CheckPower(const Scenario& scenario, std::vector<Doubt>* found) {
  CheckRange(
      scenario.users,
      "users",
      "tx_power_w_max",
      {0.0, kUserPowerWMax},
      [](const User& user) { return user.tx_power_w_max; },
      Doubts("power_like_dbm",
             "more than 5 W; it looks like dBm or mW: 23 dBm and 200 mW are 0.2 W"),
      found);
  CheckRange(
      scenario.servers,
      "servers",
      "tx_power_w_max",
      {0.0, kServerPowerWMax},
      [](const Server& server) { return server.tx_power_w_max; },
      Doubts("power_like_mw", "more than 500 W; it looks like mW: 46 dBm and 40,000 mW are 40 W"),
      found);
}

template <class Node>
void CheckCompute(const std::vector<Node>& nodes,
                  std::string_view list,
                  std::vector<Doubt>* found) {
  CheckRange(
      nodes,
      list,
      "compute.clock_hz_max",
      {kClockHzMin, kClockHzMax},
      [](const Node& node) { return node.compute.clock_hz_max; },
      Doubts("clock_like_ghz", "outside 1 MHz to 1 THz; it looks like GHz or MHz"),
      found);
  CheckRange(
      nodes,
      list,
      "compute.flop_per_cycle",
      {0.0, kFlopPerCycleMax},
      [](const Node& node) { return node.compute.flop_per_cycle; },
      Doubts("flop_like_per_second", "more than 1e8 FLOP per cycle; it looks like FLOP per second"),
      found);
}

void CheckServersInUse(const Scenario& scenario, std::vector<Doubt>* found) {
  std::vector<bool> reached(scenario.servers.size(), false);
  for (const auto& links : scenario.links) {
    for (const Link& link : links) reached[static_cast<std::size_t>(link.server)] = true;
  }
  Doubts unreached("server_unreached", "no user has a link to the server");
  Doubts closed("server_without_slots", "the server admits nobody");
  for (std::size_t m = 0; m < scenario.servers.size(); ++m) {
    const auto where = [&] { return fmt::format("server {}", scenario.servers[m].id); };
    if (!reached[m]) unreached.Add(std::nullopt, where);
    if (scenario.servers[m].slots == 0) closed.Add(std::nullopt, where);
  }
  unreached.Into(found);
  closed.Into(found);
}

}  // namespace

std::vector<Doubt> FindDoubts(const Scenario& scenario) {
  constexpr double kAny = std::numeric_limits<double>::infinity();
  std::vector<Doubt> found;
  const double noise = scenario.noise_density_w_per_hz;
  if (noise < kNoiseWPerHzMin || noise > kNoiseWPerHzMax) {
    Doubts density("noise_unlike_thermal",
                   "thermal noise is 4e-21 W/Hz (-174 dBm/Hz); it looks like mW/Hz, dBm/Hz turned "
                   "around, or a power over the whole band");
    density.Add(noise, [] { return std::string("noise_density_w_per_hz"); });
    density.Into(&found);
  }
  CheckPower(scenario, &found);
  CheckRange(
      scenario.servers,
      "servers",
      "bandwidth_hz",
      {kBandwidthHzMin, kBandwidthHzMax},
      [](const Server& server) { return server.bandwidth_hz; },
      Doubts("bandwidth_like_mhz", "outside 100 kHz to 100 GHz; it looks like MHz, kHz or GHz"),
      &found);
  CheckCompute(scenario.users, "users", &found);
  CheckCompute(scenario.servers, "servers", &found);
  CheckRange(
      scenario.users,
      "users",
      "memory_bytes_max",
      {kMemoryBytesMin, kAny},
      [](const User& user) { return user.memory_bytes_max; },
      Doubts("memory_like_gb", "less than 10 kB; it looks like GB or MB"),
      &found);
  CheckGains(scenario, &found);
  CheckServersInUse(scenario, &found);
  return found;
}

}  // namespace dashf
