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

// A scenario of one node and a peer, for the rules that hold for each.
Scenario OneAndAPeer() {
  const Compute compute{1.0, 1.0, 0.0, 0.0};
  Scenario pair;
  pair.noise_density_w_per_hz = 1.0;
  pair.users = {{"u", "", {}, 1.0, compute, 1.0, 0}};
  pair.servers = {{"s", "", {}, 1.0, 1.0, {}, compute}};
  pair.profiles = {{"p", {0.0, 1.0}, {1.0, 0.0}, {1.0, 0.0}, {1.0, 0.0}, {0.0, 1.0}}};
  pair.links = {{{0, 1.0}}};
  return pair;
}

// What breaks a rule would leave everybody without a plan.
Expected<void> CheckRules(const NodeId& node, const Scenario& pair) {
  const auto sound = ValidateRules(pair);
  if (sound) return {};
  const Error& error = sound.error();
  return Fail(
      ErrorKind::kBadInput,
      Name(node),
      fmt::format("reported {} {}", error.where.substr(error.where.find('.') + 1), error.message));
}

Expected<void> CheckReport(const NodeId& node, const v1::UserCapabilities& report, int layers) {
  Scenario pair = OneAndAPeer();
  User& user = pair.users.front();
  user.compute = FromWire(report.compute());
  user.tx_power_w_max = report.tx_power_w_max();
  user.memory_bytes_max = report.memory_bytes_max();
  SplitProfile profile = FromWire(report.profile());
  if (auto sound = CheckProfile(Name(node), profile, layers); !sound) return sound;
  profile.name.swap(pair.profiles.front().name);
  pair.profiles.front() = std::move(profile);
  if (auto sound = CheckRules(node, pair); !sound) return sound;
  for (int k = 0; k <= layers; ++k) {
    if (pair.SplitAllowed(user, k)) return {};
  }
  return Fail(ErrorKind::kBadInput,
              Name(node),
              fmt::format("reported memory_bytes_max must hold a split of its profile, got {}",
                          user.memory_bytes_max));
}

Expected<void> CheckReport(const NodeId& node, const v1::ServerCapabilities& report) {
  Scenario pair = OneAndAPeer();
  Server& server = pair.servers.front();
  server.compute = FromWire(report.compute());
  server.bandwidth_hz = report.bandwidth_hz();
  server.tx_power_w_max = report.tx_power_w_max();
  if (auto sound = CheckRules(node, pair); !sound) return sound;
  if (report.address().empty()) {
    return Fail(ErrorKind::kBadInput, Name(node), "must report an address");
  }
  for (const std::string& address : report.address()) {
    const auto sound = ParseReachable(Name(node) + ": address", address);
    if (!sound) return tl::unexpected(sound.error());
  }
  return {};
}

template <class Capabilities>
Expected<Capabilities> Read(const NodeId& node, const std::string& report) {
  Capabilities capabilities;
  if (google::protobuf::util::JsonStringToMessage(report, &capabilities).ok()) return capabilities;
  return Fail(ErrorKind::kBadInput, Name(node), "its report in the log is none of this version's");
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
  const auto sound =
      is_user ? CheckReport(node, hello.user(), layers) : CheckReport(node, hello.server());
  if (!sound) return tl::unexpected(sound.error());
  return is_user ? Written(node, hello.user()) : Written(node, hello.server());
}

std::vector<std::string> AddressesIn(const std::string& report) {
  v1::ServerCapabilities server;
  if (!google::protobuf::util::JsonStringToMessage(report, &server).ok()) return {};
  return {server.address().begin(), server.address().end()};
}

Deployment::Deployment(Scenario scenario)
    : scenario_(std::move(scenario)), own_profiles_(static_cast<int>(scenario_.profiles.size())) {
  for (const User& user : scenario_.users) place_.emplace(UserNode(user.id), place_.size());
  std::size_t servers = 0;
  for (const Server& server : scenario_.servers) place_.emplace(ServerNode(server.id), servers++);
}

Expected<void> Deployment::Hear(const NodeId& node, const std::string& report) {
  const auto place = place_.find(node);
  if (place == place_.end()) return Fail(ErrorKind::kBadInput, Name(node), "is not expected");
  if (node.role == Role::kServer) {
    const auto said = Read<v1::ServerCapabilities>(node, report);
    if (!said) return tl::unexpected(said.error());
    Server& server = scenario_.servers[place->second];
    server.compute = FromWire(said->compute());
    server.bandwidth_hz = said->bandwidth_hz();
    server.tx_power_w_max = said->tx_power_w_max();
    addresses_[node.id] = {said->address().begin(), said->address().end()};
    return {};
  }
  const auto said = Read<v1::UserCapabilities>(node, report);
  if (!said) return tl::unexpected(said.error());
  SplitProfile profile = FromWire(said->profile());
  const int layers = scenario_.profiles.front().layers();
  if (auto sound = CheckProfile(Name(node), profile, layers); !sound) return sound;
  User& user = scenario_.users[place->second];
  user.compute = FromWire(said->compute());
  user.tx_power_w_max = said->tx_power_w_max();
  user.memory_bytes_max = said->memory_bytes_max();
  if (SameRows(profile, scenario_.ProfileOf(user))) return {};
  profile.name = "reported by " + node.id;
  if (user.profile < own_profiles_) {
    user.profile = static_cast<int>(scenario_.profiles.size());
    scenario_.profiles.emplace_back();
  }
  scenario_.profiles[static_cast<std::size_t>(user.profile)] = std::move(profile);
  return {};
}

const SplitProfile* Deployment::ProfileOf(const std::string& user) const {
  const auto place = place_.find(UserNode(user));
  if (place == place_.end()) return nullptr;
  return &scenario_.ProfileOf(scenario_.users[place->second]);
}

const std::vector<std::string>& Deployment::AddressesOf(const std::string& server) const {
  static const std::vector<std::string> kNone;
  const auto found = addresses_.find(server);
  return found == addresses_.end() ? kNone : found->second;
}

Scenario Among(const Scenario& scenario,
               const std::set<std::string>& users,
               const std::set<std::string>& servers,
               const Reaches& reaches,
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
    const auto reach = reaches.find(user.id);
    std::vector<Link> all, good;
    for (const Link& link : scenario.links[n]) {
      const auto at = place.find(link.server);
      if (at == place.end()) continue;
      all.push_back({at->second, link.gain});
      const std::string& id = scenario.servers[static_cast<std::size_t>(link.server)].id;
      if (reach == reaches.end() || reach->second.Has(id)) good.push_back(all.back());
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
