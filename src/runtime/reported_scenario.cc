#include "runtime/reported_scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/messages.h"

namespace dashf::runtime {
namespace {

struct Reported {
  const char* name;
  double value;
};

// Every one finite and > 0.
Expected<void> CheckPositive(const std::string& node, std::initializer_list<Reported> numbers) {
  for (const Reported& number : numbers) {
    if (number.value > 0.0 && std::isfinite(number.value)) continue;
    return Fail(ErrorKind::kBadInput,
                node,
                fmt::format("reported {} must be > 0, got {}", number.name, number.value));
  }
  return {};
}

bool SameRows(const SplitProfile& a, const SplitProfile& b) {
  return a.local_flop == b.local_flop && a.server_flop == b.server_flop &&
         a.upload_bit == b.upload_bit && a.download_bit == b.download_bit &&
         a.local_memory_bytes == b.local_memory_bytes;
}

Expected<void> CheckProfile(const std::string& node, const SplitProfile& profile, int layers) {
  const auto rows = static_cast<std::size_t>(layers) + 1;
  for (const auto* column : {&profile.local_flop,
                             &profile.server_flop,
                             &profile.upload_bit,
                             &profile.download_bit,
                             &profile.local_memory_bytes}) {
    if (column->size() != rows) {
      return Fail(
          ErrorKind::kBadInput,
          node,
          fmt::format("reported split profile must have {} rows, got {}", rows, column->size()));
    }
    const bool sound = std::all_of(column->begin(), column->end(), [](double value) {
      return value >= 0.0 && std::isfinite(value);
    });
    if (!sound) {
      return Fail(ErrorKind::kBadInput, node, "reported split profile must be finite and >= 0");
    }
  }
  return {};
}

}  // namespace

Expected<void> ApplyReport(const std::string& user,
                           const v1::UserCapabilities& report,
                           int layers,
                           Scenario* scenario) {
  const std::string node = "user " + user;
  const Compute compute = FromWire(report.compute());
  if (auto sound = CheckPositive(node,
                                 {{"clock_hz_max", compute.clock_hz_max},
                                  {"flop_per_cycle", compute.flop_per_cycle},
                                  {"tx_power_w_max", report.tx_power_w_max()},
                                  {"memory_bytes_max", report.memory_bytes_max()}});
      !sound) {
    return sound;
  }
  SplitProfile profile = FromWire(report.profile());
  if (auto sound = CheckProfile(node, profile, layers); !sound) return sound;
  const auto found = std::find_if(scenario->users.begin(),
                                  scenario->users.end(),
                                  [&](const User& known) { return known.id == user; });
  if (found == scenario->users.end()) return Fail(ErrorKind::kBadInput, node, "is not expected");
  found->compute = compute;
  found->tx_power_w_max = report.tx_power_w_max();
  found->memory_bytes_max = report.memory_bytes_max();
  if (!SameRows(profile, scenario->ProfileOf(*found))) {
    profile.name = "reported by " + user;
    found->profile = static_cast<int>(scenario->profiles.size());
    scenario->profiles.push_back(std::move(profile));
  }
  return {};
}

Expected<void> ApplyReport(const std::string& server,
                           const v1::ServerCapabilities& report,
                           Scenario* scenario) {
  const std::string node = "server " + server;
  const Compute compute = FromWire(report.compute());
  if (auto sound = CheckPositive(node,
                                 {{"clock_hz_max", compute.clock_hz_max},
                                  {"flop_per_cycle", compute.flop_per_cycle},
                                  {"bandwidth_hz", report.bandwidth_hz()},
                                  {"tx_power_w_max", report.tx_power_w_max()}});
      !sound) {
    return sound;
  }
  const auto found = std::find_if(scenario->servers.begin(),
                                  scenario->servers.end(),
                                  [&](const Server& known) { return known.id == server; });
  if (found == scenario->servers.end()) return Fail(ErrorKind::kBadInput, node, "is not expected");
  found->compute = compute;
  found->bandwidth_hz = report.bandwidth_hz();
  found->tx_power_w_max = report.tx_power_w_max();
  return {};
}

}  // namespace dashf::runtime
