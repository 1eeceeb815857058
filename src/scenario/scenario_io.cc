#include "scenario/scenario_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>

#include "base/json.h"

namespace dashf {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kSchema = "dashf.scenario/1";
constexpr std::int64_t kSlotsMax = 1'000'000'000;

Objective ParseObjective(JsonReader reader) {
  Objective objective;
  const std::string delay = reader.String("delay");
  if (!reader.failed() && delay != "sum" && delay != "makespan") {
    reader.Reject("delay", "must be \"sum\" or \"makespan\"");
  }
  objective.delay = delay == "makespan" ? DelayMode::kMakespan : DelayMode::kSum;
  objective.delay_weight_per_s = reader.Number("delay_weight_per_s", kNonNegative);
  objective.energy_weight_per_j = reader.Number("energy_weight_per_j", kNonNegative);
  objective.score_scale = reader.Number("score_scale", kPositive);
  objective.score_gain = reader.Number("score_gain", kPositive);
  if (reader.Has("all_local_allowed")) {
    objective.all_local_allowed = reader.Boolean("all_local_allowed");
  }
  reader.RejectUnknownKeys();
  return objective;
}

Position ParsePosition(JsonReader& parent) {
  const std::vector<double> xy = parent.Numbers("position_m");
  if (!parent.failed() && xy.size() != 2) {
    parent.Reject("position_m", "must be two numbers [x, y]");
  }
  return xy.size() == 2 ? Position{xy[0], xy[1]} : Position{};
}

Compute ParseCompute(JsonReader reader) {
  Compute compute;
  compute.clock_hz_max = reader.Number("clock_hz_max", kPositive);
  compute.flop_per_cycle = reader.Number("flop_per_cycle", kPositive);
  compute.kappa_w_per_hz3 = reader.Number("kappa_w_per_hz3", kNonNegative);
  if (reader.Has("energy_j_per_flop")) {
    compute.energy_j_per_flop = reader.Number("energy_j_per_flop", kNonNegative);
  }
  reader.RejectUnknownKeys();
  return compute;
}

SplitProfile ParseSplitProfile(const std::string& name, JsonReader reader) {
  SplitProfile profile;
  profile.name = name;
  profile.local_flop = reader.Numbers("local_flop", kNonNegative);
  profile.server_flop = reader.Numbers("server_flop", kNonNegative);
  profile.upload_bit = reader.Numbers("upload_bit", kNonNegative);
  profile.download_bit = reader.Numbers("download_bit", kNonNegative);
  profile.local_memory_bytes = reader.Numbers("local_memory_bytes", kNonNegative);
  reader.RejectUnknownKeys();
  return profile;
}

User ParseUser(JsonReader reader, const std::map<std::string, int>& profile_index) {
  User user;
  user.id = reader.String("id");
  if (reader.Has("name")) user.name = reader.String("name");
  user.position_m = ParsePosition(reader);
  user.tx_power_w_max = reader.Number("tx_power_w_max", kPositive);
  user.compute = ParseCompute(reader.Object("compute"));
  user.memory_bytes_max = reader.Number("memory_bytes_max", kPositive);
  const auto profile = profile_index.find(reader.String("profile"));
  if (profile != profile_index.end()) {
    user.profile = profile->second;
  } else {
    reader.Reject("profile", "must name a member of \"profiles\"");
  }
  reader.RejectUnknownKeys();
  return user;
}

Server ParseServer(JsonReader reader) {
  Server server;
  server.id = reader.String("id");
  if (reader.Has("name")) server.name = reader.String("name");
  server.position_m = ParsePosition(reader);
  server.bandwidth_hz = reader.Number("bandwidth_hz", kPositive);
  server.tx_power_w_max = reader.Number("tx_power_w_max", kPositive);
  if (reader.Has("slots")) {
    server.slots = static_cast<int>(reader.Integer("slots", 0, kSlotsMax));
  }
  server.compute = ParseCompute(reader.Object("compute"));
  reader.RejectUnknownKeys();
  return server;
}

void ParseDenseGain(JsonReader& gain, Scenario* scenario) {
  std::size_t n = 0;
  gain.ForEach("dense", [&](JsonReader row) {
    const std::vector<double> gains = row.AsNumbers(kNonNegative);
    if (!row.failed() &&
        (n >= scenario->users.size() || gains.size() != scenario->servers.size())) {
      row.Reject(fmt::format("must be one row per user ({}) of one gain per server ({})",
                             scenario->users.size(),
                             scenario->servers.size()));
    }
    if (row.failed()) return;
    for (std::size_t m = 0; m < gains.size(); ++m) {
      if (gains[m] > 0.0) scenario->links[n].push_back({static_cast<int>(m), gains[m]});
    }
    ++n;
  });
  if (!gain.failed() && n != scenario->users.size()) {
    gain.Reject("dense", fmt::format("must have one row per user ({})", scenario->users.size()));
  }
}

void ParseSparseGain(JsonReader& gain, Scenario* scenario) {
  gain.ForEach("sparse", [&](JsonReader entry) {
    const std::vector<double> triple = entry.AsNumbers(kNonNegative);
    if (entry.failed()) return;
    const auto is_index = [](double x, std::size_t count) {
      return x == std::floor(x) && x < static_cast<double>(count);
    };
    if (triple.size() != 3 || !is_index(triple[0], scenario->users.size()) ||
        !is_index(triple[1], scenario->servers.size()) || !(triple[2] > 0.0)) {
      entry.Reject(fmt::format("must be [user index < {}, server index < {}, gain > 0]",
                               scenario->users.size(),
                               scenario->servers.size()));
      return;
    }
    scenario->links[static_cast<std::size_t>(triple[0])].push_back(
        {static_cast<int>(triple[1]), triple[2]});
  });
  for (auto& links : scenario->links) {
    std::sort(links.begin(), links.end(), [](const Link& a, const Link& b) {
      return a.server < b.server;
    });
  }
}

Scenario ParseRoot(JsonReader root) {
  Scenario scenario;
  if (const std::string schema = root.String("schema"); !root.failed() && schema != kSchema) {
    root.Reject("schema", fmt::format("must be \"{}\"", kSchema));
  }
  scenario.name = root.String("name");
  scenario.objective = ParseObjective(root.Object("objective"));
  scenario.noise_density_w_per_hz = root.Number("noise_density_w_per_hz", kPositive);
  std::map<std::string, int> profile_index;
  root.ForEachMember("profiles", [&](const std::string& name, const JsonReader& profile) {
    profile_index[name] = static_cast<int>(scenario.profiles.size());
    scenario.profiles.push_back(ParseSplitProfile(name, profile));
  });
  root.ForEach("users", [&](const JsonReader& user) {
    scenario.users.push_back(ParseUser(user, profile_index));
  });
  root.ForEach("servers",
               [&](const JsonReader& server) { scenario.servers.push_back(ParseServer(server)); });
  scenario.links.resize(scenario.users.size());
  JsonReader gain = root.Object("gain");
  if (!gain.failed() && gain.Has("dense") == gain.Has("sparse")) {
    gain.Reject("must have either \"dense\" or \"sparse\"");
  } else if (gain.Has("dense")) {
    ParseDenseGain(gain, &scenario);
  } else {
    ParseSparseGain(gain, &scenario);
  }
  gain.RejectUnknownKeys();
  root.RejectUnknownKeys();
  return scenario;
}

// Takes the document, whose memory is free again before the scenario is looked over.
Expected<Scenario> FromDocument(const std::string& name,
                                Expected<JsonDocument> document,
                                PlanExistence existence) {
  if (!document) return tl::unexpected(document.error());
  Scenario scenario = ParseRoot(document->Root());
  if (document->error()) return tl::unexpected(*document->error());
  *document = {};
  const auto valid =
      existence == PlanExistence::kRequired ? Validate(scenario) : ValidateRules(scenario);
  if (!valid) {
    Error error = valid.error();
    error.where = name + ": " + error.where;
    return tl::unexpected(std::move(error));
  }
  return scenario;
}

ordered_json ToJson(const Position& position) {
  return ordered_json::array({position.x_m, position.y_m});
}

ordered_json ToJson(const Compute& compute) {
  ordered_json json{{"clock_hz_max", compute.clock_hz_max},
                    {"flop_per_cycle", compute.flop_per_cycle},
                    {"kappa_w_per_hz3", compute.kappa_w_per_hz3}};
  if (compute.energy_j_per_flop > 0.0) json["energy_j_per_flop"] = compute.energy_j_per_flop;
  return json;
}

ordered_json ToJson(const Objective& objective) {
  return {{"delay", objective.delay == DelayMode::kSum ? "sum" : "makespan"},
          {"delay_weight_per_s", objective.delay_weight_per_s},
          {"energy_weight_per_j", objective.energy_weight_per_j},
          {"score_scale", objective.score_scale},
          {"score_gain", objective.score_gain},
          {"all_local_allowed", objective.all_local_allowed}};
}

template <class Node>
ordered_json NamesToJson(const Node& node) {
  ordered_json json = {{"id", node.id}};
  if (!node.name.empty()) json["name"] = node.name;
  return json;
}

ordered_json UsersToJson(const Scenario& scenario) {
  ordered_json users = ordered_json::array();
  for (const User& user : scenario.users) {
    ordered_json entry = NamesToJson(user);
    entry["position_m"] = ToJson(user.position_m);
    entry["tx_power_w_max"] = user.tx_power_w_max;
    entry["compute"] = ToJson(user.compute);
    entry["memory_bytes_max"] = user.memory_bytes_max;
    entry["profile"] = scenario.ProfileOf(user).name;
    users.push_back(std::move(entry));
  }
  return users;
}

ordered_json ServersToJson(const Scenario& scenario) {
  ordered_json servers = ordered_json::array();
  for (const Server& server : scenario.servers) {
    ordered_json entry = NamesToJson(server);
    entry["position_m"] = ToJson(server.position_m);
    entry["bandwidth_hz"] = server.bandwidth_hz;
    entry["tx_power_w_max"] = server.tx_power_w_max;
    if (server.slots) entry["slots"] = *server.slots;
    entry["compute"] = ToJson(server.compute);
    servers.push_back(std::move(entry));
  }
  return servers;
}

ordered_json ProfilesToJson(const Scenario& scenario) {
  // By name, as a reader will hold them.
  std::map<std::string_view, const SplitProfile*> by_name;
  for (const SplitProfile& profile : scenario.profiles) by_name[profile.name] = &profile;
  ordered_json profiles = ordered_json::object();
  auto& members = profiles.get_ref<ordered_json::object_t&>();
  for (const auto& [name, profile] : by_name) {
    // Names differ, so that nobody need search for them: 100,000 profiles are no rarity.
    members.push_back({std::string(name),
                       {{"local_flop", profile->local_flop},
                        {"server_flop", profile->server_flop},
                        {"upload_bit", profile->upload_bit},
                        {"download_bit", profile->download_bit},
                        {"local_memory_bytes", profile->local_memory_bytes}}});
  }
  return profiles;
}

// Dense where at least half of all pairs have a link.
ordered_json GainToJson(const Scenario& scenario) {
  std::size_t pairs = 0;
  for (const auto& links : scenario.links) pairs += links.size();
  const std::size_t servers = scenario.servers.size();
  const bool dense = 2 * pairs >= scenario.users.size() * servers;
  ordered_json rows = ordered_json::array();
  for (std::size_t n = 0; n < scenario.links.size(); ++n) {
    std::vector<double> row(dense ? servers : 0, 0.0);
    for (const Link& link : scenario.links[n]) {
      if (dense) {
        row[static_cast<std::size_t>(link.server)] = link.gain;
      } else {
        rows.push_back(ordered_json::array({n, link.server, link.gain}));
      }
    }
    if (dense) rows.push_back(row);
  }
  ordered_json gain;
  gain[dense ? "dense" : "sparse"] = std::move(rows);
  return gain;
}

}  // namespace

Expected<Scenario> ParseScenario(const std::string& name,
                                 std::string_view bytes,
                                 PlanExistence existence) {
  return FromDocument(name, JsonDocument::Parse(name, bytes), existence);
}

Expected<LoadedScenario> ReadScenario(const std::string& path, PlanExistence existence) {
  LoadedScenario loaded;
  auto scenario =
      FromDocument(path, JsonDocument::ReadFile(path, kJsonBytesMax, &loaded.sha256), existence);
  if (!scenario) return tl::unexpected(scenario.error());
  loaded.scenario = std::move(*scenario);
  return loaded;
}

std::string WriteScenario(const Scenario& scenario) {
  return DumpRows({{"schema", kSchema},
                   {"name", scenario.name},
                   {"objective", ToJson(scenario.objective)},
                   {"noise_density_w_per_hz", scenario.noise_density_w_per_hz},
                   {"users", UsersToJson(scenario)},
                   {"servers", ServersToJson(scenario)},
                   {"profiles", ProfilesToJson(scenario)},
                   {"gain", GainToJson(scenario)}});
}

}  // namespace dashf
