#include "runtime/node_config.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "runtime/address.h"
#include "runtime/node_places.h"

namespace dashf::runtime {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kBytesMax = std::int64_t{1} << 62;
constexpr double kLeaseMinS = 5.0;  // Nodes give a sign of life every 3 s (session.cc).
constexpr std::int64_t kSeedMax = std::numeric_limits<std::int64_t>::max();

constexpr std::pair<const char*, std::vector<double> SplitProfile::*> kProfileColumns[] = {
    {"local_flop", &SplitProfile::local_flop},
    {"server_flop", &SplitProfile::server_flop},
    {"upload_bit", &SplitProfile::upload_bit},
    {"download_bit", &SplitProfile::download_bit},
    {"local_memory_bytes", &SplitProfile::local_memory_bytes}};

Json ToJson(const Compute& compute) {
  return {{"clock_hz_max", compute.clock_hz_max},
          {"flop_per_cycle", compute.flop_per_cycle},
          {"kappa_w_per_hz3", compute.kappa_w_per_hz3},
          {"energy_j_per_flop", compute.energy_j_per_flop}};
}

Json ToJson(const UserKit& kit) {
  Json profile;
  for (const auto& [key, column] : kProfileColumns) profile[key] = kit.profile.*column;
  return {{"compute", ToJson(kit.device.compute)},
          {"tx_power_w_max", kit.device.tx_power_w_max},
          {"memory_bytes_max", kit.device.memory_bytes_max},
          {"profile", std::move(profile)},
          {"train", kit.train_path},
          {"test", kit.test_path},
          {"labels", kit.labels},
          {"adapter_folder", kit.adapter_folder},
          {"state_folder", kit.state_folder}};
}

Json ToJson(const ServerKit& kit) {
  Json json = {{"compute", ToJson(kit.device.compute)},
               {"bandwidth_hz", kit.device.bandwidth_hz},
               {"tx_power_w_max", kit.device.tx_power_w_max},
               {"listen", kit.listen},
               {"advertise", kit.advertise},
               {"spool", {{"folder", kit.spool_folder}, {"bytes_max", kit.spool_bytes_max}}},
               {"work_conserving", kit.work_conserving}};
  if (kit.memory_bytes_max > 0) json["memory_bytes_max"] = kit.memory_bytes_max;
  return json;
}

Json ToJson(const fleet::Policy& policy) {
  return {{"rounds_max", policy.rounds_max},
          {"on_request", policy.on_request},
          {"interval_s", policy.interval_s},
          {"users_min", policy.users_min},
          {"servers_min", policy.servers_min},
          {"gather_s", policy.gather_s},
          {"give_up_s", policy.give_up_s},
          {"lease_s", policy.lease_s},
          {"grace_s", policy.grace_s},
          {"late_users", policy.late_users},
          {"attempts_max", policy.attempts_max},
          {"phase_factor", policy.phase_factor},
          {"phase_slack_s", policy.phase_slack_s}};
}

Json ToJson(const CoordinatorKit& kit) {
  Json json = {{"listen", kit.listen},
               {"advertise", kit.advertise},
               {"address_file", kit.address_path},
               {"scenario", kit.scenario_path},
               {"out", kit.out_folder},
               {"method", kit.method},
               {"seed", kit.seed},
               {"handover_penalty", kit.handover_penalty},
               {"log", kit.log_path},
               {"policy", ToJson(kit.policy)},
               {"farewell_s", kit.farewell_s},
               {"machine_flop_per_s", kit.machine_flop_per_s},
               {"learn", kit.learn}};
  if (kit.time_scale > 0.0) json["time_scale"] = kit.time_scale;
  if (!kit.live.listen.empty()) {
    json["live"] = {{"listen", kit.live.listen}};
    if (!kit.live.address_path.empty()) json["live"]["address_file"] = kit.live.address_path;
    if (!kit.live.token_path.empty()) json["live"]["token_file"] = kit.live.token_path;
  }
  if (!kit.slowdown.empty()) json["slowdown"] = kit.slowdown;
  return json;
}

Compute ReadCompute(JsonReader& parent) {
  JsonReader reader = parent.Object("compute");
  Compute compute{reader.Number("clock_hz_max", kPositive),
                  reader.Number("flop_per_cycle", kPositive),
                  reader.Number("kappa_w_per_hz3", kNonNegative),
                  reader.Number("energy_j_per_flop", kNonNegative)};
  reader.RejectUnknownKeys();
  return compute;
}

std::vector<std::string> Strings(JsonReader& reader, std::string_view key) {
  std::vector<std::string> values;
  reader.ForEach(key, [&](const JsonReader& value) { values.push_back(value.AsString()); });
  return values;
}

// Without the value, which the reader adds.
std::string RuleOf(const Error& error) {
  return error.message.substr(0, error.message.rfind(", got "));
}

// Addresses that others are told, or that this node is to dial.
std::vector<std::string> ReadReachable(JsonReader& reader, std::string_view key) {
  std::vector<std::string> addresses;
  reader.ForEach(key, [&](const JsonReader& value) {
    addresses.push_back(value.AsString());
    if (value.failed()) return;
    if (const auto sound = ParseReachable("", addresses.back()); !sound) {
      value.Reject(RuleOf(sound.error()));
    }
  });
  return addresses;
}

// Where to listen, and what others are told of it.
void ReadAddresses(JsonReader& reader, std::string* listen, std::vector<std::string>* advertise) {
  *listen = reader.String("listen");
  *advertise = ReadReachable(reader, "advertise");
  if (reader.failed()) return;
  const auto at = ParseAddress("listen", *listen);
  if (!at) {
    reader.Reject("listen", RuleOf(at.error()));
  } else if (advertise->empty() && at->Wildcard()) {
    reader.Reject("advertise", "must name an address where `listen` is every one of the machine");
  } else if (!advertise->empty() && at->port == 0) {
    reader.Reject("listen", "must have a fixed port where `advertise` tells others of one");
  }
}

UserKit ReadUserKit(JsonReader& root) {
  JsonReader reader = root.Object("user");
  UserKit kit;
  kit.device.compute = ReadCompute(reader);
  kit.device.tx_power_w_max = reader.Number("tx_power_w_max", kPositive);
  kit.device.memory_bytes_max = reader.Number("memory_bytes_max", kPositive);
  JsonReader profile = reader.Object("profile");
  for (const auto& [key, column] : kProfileColumns) {
    kit.profile.*column = profile.Numbers(key, kNonNegative);
    if ((kit.profile.*column).size() != kit.profile.local_flop.size()) {
      profile.Reject(key, "must have one entry per split, like local_flop");
    }
  }
  profile.RejectUnknownKeys();
  kit.train_path = reader.String("train");
  kit.test_path = reader.String("test");
  kit.labels = Strings(reader, "labels");
  kit.adapter_folder = reader.String("adapter_folder");
  kit.state_folder = reader.String("state_folder");
  reader.RejectUnknownKeys();
  return kit;
}

ServerKit ReadServerKit(JsonReader& root) {
  JsonReader reader = root.Object("server");
  ServerKit kit;
  kit.device.compute = ReadCompute(reader);
  kit.device.bandwidth_hz = reader.Number("bandwidth_hz", kPositive);
  kit.device.tx_power_w_max = reader.Number("tx_power_w_max", kPositive);
  ReadAddresses(reader, &kit.listen, &kit.advertise);
  if (reader.Has("spool")) {
    JsonReader spool = reader.Object("spool");
    kit.spool_folder = spool.String("folder");
    const std::int64_t bytes_max = spool.Integer("bytes_max", 1, kBytesMax);
    kit.spool_bytes_max = static_cast<std::uint64_t>(bytes_max);
    spool.RejectUnknownKeys();
  }
  if (reader.Has("work_conserving")) kit.work_conserving = reader.Boolean("work_conserving");
  kit.memory_bytes_max =
      static_cast<std::uint64_t>(reader.IntegerIfAny("memory_bytes_max", 1, kBytesMax).value_or(0));
  reader.RejectUnknownKeys();
  return kit;
}

fleet::Policy ReadPolicy(JsonReader& parent) {
  JsonReader reader = parent.Object("policy");
  fleet::Policy policy;
  const auto count = [&reader](std::string_view key, std::int64_t low) {
    return static_cast<std::uint32_t>(reader.Integer(key, low, 1'000'000'000));
  };
  const NumberRule seconds{.low = 0.0, .high = 1e9};
  policy.rounds_max = count("rounds_max", 0);
  policy.on_request = reader.Boolean("on_request");
  policy.interval_s = reader.Number("interval_s", seconds);
  policy.users_min = count("users_min", 1);
  policy.servers_min = count("servers_min", 1);
  policy.gather_s = reader.Number("gather_s", seconds);
  policy.give_up_s = reader.Number("give_up_s", seconds);
  policy.lease_s = reader.Number("lease_s", {.low = kLeaseMinS, .high = 1e9});
  policy.grace_s = reader.Number("grace_s", seconds);
  policy.late_users = reader.Boolean("late_users");
  policy.attempts_max = static_cast<int>(count("attempts_max", 1));
  policy.phase_factor = reader.Number("phase_factor", seconds);
  policy.phase_slack_s = reader.Number("phase_slack_s", seconds);
  reader.RejectUnknownKeys();
  return policy;
}

LiveKit ReadLiveKit(JsonReader& parent) {
  JsonReader reader = parent.Object("live");
  LiveKit kit{reader.String("listen"),
              reader.StringIfAny("address_file").value_or(""),
              reader.StringIfAny("token_file").value_or("")};
  reader.RejectUnknownKeys();
  if (reader.failed()) return kit;
  const auto at = ParseAddress("listen", kit.listen);
  if (!at) {
    reader.Reject("listen", RuleOf(at.error()));
  } else if (!at->Loopback() && kit.token_path.empty()) {
    reader.Reject("token_file", "is needed where `listen` is reached from other machines");
  }
  return kit;
}

void ReadSlowdown(JsonReader& parent, double time_scale, std::map<std::string, double>* slowdown) {
  if (!parent.HasValue("slowdown")) return;
  if (!(time_scale > 0.0)) parent.Reject("slowdown", "is of emulated devices: needs time_scale");
  JsonReader reader = parent.Object("slowdown");
  for (const std::string& user : reader.UnaskedKeys()) {
    (*slowdown)[user] = reader.Number(user, kPositive);
  }
}

CoordinatorKit ReadCoordinatorKit(JsonReader& root) {
  JsonReader reader = root.Object("coordinator_kit");
  CoordinatorKit kit;
  ReadAddresses(reader, &kit.listen, &kit.advertise);
  kit.address_path = reader.String("address_file");
  kit.scenario_path = reader.String("scenario");
  kit.out_folder = reader.String("out");
  kit.method = reader.String("method");
  kit.seed = static_cast<std::uint64_t>(reader.Integer("seed", 0, kSeedMax));
  if (reader.Has("handover_penalty")) {
    kit.handover_penalty = reader.Number("handover_penalty", kNonNegative);
  }
  kit.log_path = reader.String("log");
  kit.policy = ReadPolicy(reader);
  kit.farewell_s =
      reader.NumberIfAny("farewell_s", {.low = 0.0, .high = 1e9}).value_or(kit.farewell_s);
  kit.machine_flop_per_s = reader.Number("machine_flop_per_s", kPositive);
  kit.time_scale = reader.NumberIfAny("time_scale", kPositive).value_or(0.0);
  if (reader.HasValue("live")) kit.live = ReadLiveKit(reader);
  if (reader.Has("learn")) kit.learn = reader.Boolean("learn");
  ReadSlowdown(reader, kit.time_scale, &kit.slowdown);
  reader.RejectUnknownKeys();
  return kit;
}

TelemetryLimits ReadTelemetryLimits(JsonReader& root) {
  JsonReader reader = root.Object("telemetry_limits");
  TelemetryLimits limits;
  limits.bytes_max =
      static_cast<std::uint64_t>(reader.Integer("bytes_max", 4096, std::int64_t{1} << 40));
  limits.files_max = static_cast<int>(reader.Integer("files_max", 1, 1000));
  reader.RejectUnknownKeys();
  return limits;
}

// Relative paths are meant from the file's own folder, whoever reads it from where.
void ResolvePaths(const std::filesystem::path& base, NodeConfig* config) {
  if (config->folder.empty()) config->folder = base.string();
  for (std::string* path : {&config->folder,
                            &config->tls.ca,
                            &config->tls.certificate,
                            &config->tls.key,
                            &config->tls.revoked,
                            &config->telemetry_path,
                            &config->gate_folder,
                            &config->model_folder,
                            &config->user.train_path,
                            &config->user.test_path,
                            &config->user.adapter_folder,
                            &config->server.spool_folder,
                            &config->user.state_folder,
                            &config->coordinator_kit.log_path,
                            &config->coordinator_kit.address_path,
                            &config->coordinator_kit.scenario_path,
                            &config->coordinator_kit.live.address_path,
                            &config->coordinator_kit.live.token_path,
                            &config->coordinator_kit.out_folder}) {
    if (path->empty()) continue;
    std::filesystem::path whole = base;
    whole /= *path;
    *path = whole.lexically_normal().string();
  }
}

}  // namespace

int NodeConfig::Threads() const {
  if (threads > 0) return threads;
  return gate_folder.empty() ? std::max(1U, std::thread::hardware_concurrency()) : 1;
}

std::string WriteNodeConfig(const NodeConfig& config) {
  Json tls = {
      {"ca", config.tls.ca}, {"certificate", config.tls.certificate}, {"key", config.tls.key}};
  if (!config.tls.revoked.empty()) tls["revoked"] = config.tls.revoked;
  Json json = {{"schema", "dashf.node/3"},
               {"node", Name(config.node)},
               {"folder", config.folder},
               {"coordinator", config.coordinator},
               {"tls", std::move(tls)},
               {"telemetry", config.telemetry_path},
               {"telemetry_limits",
                {{"bytes_max", config.telemetry_limits.bytes_max},
                 {"files_max", config.telemetry_limits.files_max}}},
               {"gate", {{"folder", config.gate_folder}, {"turns", config.gate_turns}}},
               {"model", config.model_folder}};
  json["checkpoint_interval_s"] = config.checkpoint_interval_s;
  if (config.threads > 0) json["threads"] = config.threads;
  switch (config.node.role) {
    case Role::kUser:
      json["user"] = ToJson(config.user);
      break;
    case Role::kServer:
      json["server"] = ToJson(config.server);
      break;
    case Role::kCoordinator:
      json["training"] = ToJson(config.training);
      json["coordinator_kit"] = ToJson(config.coordinator_kit);
      break;
    case Role::kOperator:  // Is no node, and has a file of its own.
      break;
  }
  return json.dump(2) + "\n";
}

Expected<NodeConfig> ParseNodeConfig(const std::string& name, std::string_view bytes, Role role) {
  auto document = JsonDocument::Parse(name, bytes);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  NodeConfig config;
  if (root.String("schema") != "dashf.node/3") {
    root.Reject(
        "schema",
        "must be dashf.node/3, in which only the coordinator's file has `training` (take it "
        "out of the others')");
  }
  const auto node = ParseName(root.String("node"));
  if (!node || node->role != role) root.Reject("node", "must name a node of this verb's role");
  config.node = node.value_or(NodeId{});
  config.folder = root.String("folder");
  config.coordinator = ReadReachable(root, "coordinator");
  if (config.coordinator.empty() != (role == Role::kCoordinator)) {
    root.Reject("coordinator",
                role == Role::kCoordinator ? "must be [], for this node is the coordinator"
                                           : "must have one address at least");
  }
  JsonReader tls = root.Object("tls");
  config.tls = {tls.String("ca"),
                tls.String("certificate"),
                tls.String("key"),
                tls.StringIfAny("revoked").value_or("")};
  tls.RejectUnknownKeys();
  config.telemetry_path = root.String("telemetry");
  if (root.Has("telemetry_limits")) config.telemetry_limits = ReadTelemetryLimits(root);
  JsonReader gate = root.Object("gate");
  config.gate_folder = gate.String("folder");
  config.gate_turns = static_cast<int>(gate.Integer("turns", 1, 4096));
  gate.RejectUnknownKeys();
  config.checkpoint_interval_s =
      root.NumberIfAny("checkpoint_interval_s", {.low = 0.0, .high = 1e9})
          .value_or(config.checkpoint_interval_s);
  config.threads = static_cast<int>(root.IntegerIfAny("threads", 1, 1024).value_or(0));
  config.model_folder = root.String("model");
  if (role == Role::kCoordinator) {
    config.training = ReadTrainingSettings(root.Object("training"));
  } else if (root.Has("training")) {
    root.Object("training")
        .Reject(
            "is the coordinator's to set: take it out of this file, nodes ask "
            "the coordinator");
  }
  if (role == Role::kUser) config.user = ReadUserKit(root);
  if (role == Role::kServer) config.server = ReadServerKit(root);
  if (role == Role::kCoordinator) config.coordinator_kit = ReadCoordinatorKit(root);
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  if (const auto sound = CheckTrainingSettings(name, config.training); !sound) {
    return tl::unexpected(sound.error());
  }
  ResolvePaths(std::filesystem::absolute(name).parent_path(), &config);
  if (auto apart = CheckPlacesApart(name, config); !apart) return tl::unexpected(apart.error());
  return config;
}

Expected<NodeConfig> ReadNodeConfig(const std::string& path, Role role) {
  const auto bytes = ReadFile(path, std::uint64_t{16} << 20);
  if (!bytes) return tl::unexpected(bytes.error());
  return ParseNodeConfig(path, *bytes, role);
}

}  // namespace dashf::runtime
