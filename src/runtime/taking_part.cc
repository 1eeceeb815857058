#include "runtime/taking_part.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "runtime/address.h"
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

// As it was checked when it came.
template <class Capabilities>
bool Read(const std::string& report, Capabilities* capabilities) {
  return !report.empty() && google::protobuf::util::JsonStringToMessage(report, capabilities).ok();
}

template <class Capabilities>
Expected<std::string> Written(const NodeId& node, const Capabilities& capabilities) {
  std::string json;
  if (google::protobuf::util::MessageToJsonString(capabilities, &json).ok()) return json;
  return Fail(ErrorKind::kBadInput, Name(node), "reports what cannot be written as JSON");
}

}  // namespace

Expected<std::string> CapabilitiesOf(const NodeId& node, const v1::Hello& hello, int layers) {
  const bool is_user = node.role == Role::kUser;
  if (is_user ? !hello.has_user() : !hello.has_server()) {
    return Fail(ErrorKind::kBadInput, Name(node), "must report its role's capabilities");
  }
  // Tried on a scenario of the node alone.
  Scenario alone;
  alone.profiles.emplace_back();
  if (is_user) {
    alone.users.emplace_back().id = node.id;
    if (auto sound = ApplyReport(node.id, hello.user(), layers, &alone); !sound) {
      return tl::unexpected(sound.error());
    }
    return Written(node, hello.user());
  }
  alone.servers.emplace_back().id = node.id;
  if (hello.server().address().empty()) {
    return Fail(ErrorKind::kBadInput, Name(node), "must report an address");
  }
  for (const std::string& address : hello.server().address()) {
    const auto sound = ParseReachable("server " + node.id + ": address", address);
    if (!sound) return tl::unexpected(sound.error());
  }
  if (auto sound = ApplyReport(node.id, hello.server(), &alone); !sound) {
    return tl::unexpected(sound.error());
  }
  return Written(node, hello.server());
}

std::vector<std::string> AddressesIn(const std::string& report) {
  v1::ServerCapabilities server;
  if (!Read(report, &server)) return {};
  return {server.address().begin(), server.address().end()};
}

Expected<Scenario> WithReports(const Scenario& deployment, const fleet::State& state) {
  Scenario scenario = deployment;
  for (const auto& [id, member] : state.users) {
    v1::UserCapabilities user;
    if (!Read(member.report, &user)) continue;
    if (auto done = ApplyReport(id, user, state.layers, &scenario); !done) {
      return tl::unexpected(done.error());
    }
  }
  for (const auto& [id, member] : state.servers) {
    v1::ServerCapabilities server;
    if (!Read(member.report, &server)) continue;
    if (auto done = ApplyReport(id, server, &scenario); !done) return tl::unexpected(done.error());
  }
  return scenario;
}

Scenario Among(const Scenario& scenario,
               const std::set<std::string>& users,
               const std::set<std::string>& servers,
               const AvoidedServers& avoided,
               std::vector<std::string>* unreachable) {
  Scenario among = scenario;
  among.users.clear();
  among.servers.clear();
  among.links.clear();
  std::map<int, int> place;  // Of a server in `among`.
  for (std::size_t m = 0; m < scenario.servers.size(); ++m) {
    if (!servers.contains(scenario.servers[m].id)) continue;
    place[static_cast<int>(m)] = static_cast<int>(among.servers.size());
    among.servers.push_back(scenario.servers[m]);
  }
  for (std::size_t n = 0; n < scenario.users.size(); ++n) {
    const User& user = scenario.users[n];
    if (!users.contains(user.id)) continue;
    const auto bad = avoided.find(user.id);
    std::vector<Link> all, good;
    for (const Link& link : scenario.links[n]) {
      const auto at = place.find(link.server);
      if (at == place.end()) continue;
      all.push_back({at->second, link.gain});
      const std::string& id = scenario.servers[static_cast<std::size_t>(link.server)].id;
      if (bad == avoided.end() || !bad->second.contains(id)) good.push_back(all.back());
    }
    if (all.empty()) {
      unreachable->push_back(user.id);
      continue;
    }
    among.users.push_back(user);
    among.links.push_back(good.empty() ? std::move(all) : std::move(good));
  }
  return among;
}

}  // namespace dashf::runtime
