#include "round/round_record.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace dashf {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// The members of the records in one place, for both directions.
constexpr std::pair<const char*, std::optional<double> PhaseSeconds::*> kPhases[] = {
    {"local", &PhaseSeconds::local},
    {"upload", &PhaseSeconds::upload},
    {"server", &PhaseSeconds::server},
    {"download", &PhaseSeconds::download}};
constexpr std::pair<const char*, std::optional<double> Quality::*> kQualities[] = {
    {"loss", &Quality::loss},
    {"exact_match", &Quality::exact_match},
    {"choice_accuracy", &Quality::choice_accuracy}};

constexpr std::pair<const char*, Factor NodeFactors::*> kFactors[] = {
    {"compute", &NodeFactors::compute},
    {"upload", &NodeFactors::upload},
    {"download", &NodeFactors::download}};

Json ToJson(const PhaseSeconds& seconds) {
  Json json;
  for (const auto& [key, member] : kPhases) json[key] = OrNull(seconds.*member);
  return json;
}

void Append(const Quality& quality, const std::string& suffix, Json* json) {
  for (const auto& [key, member] : kQualities) (*json)[key + suffix] = OrNull(quality.*member);
}

Json ToJson(const UserRecord& user) {
  Json json = {{"id", user.id},
               {"server", user.server},
               {"local_layers", user.local_layers},
               {"layers", user.layers},
               {"state", user.failure ? "failed" : "done"},
               {"failure", OrNull(user.failure)},
               {"predicted_s", ToJson(user.predicted_s)},
               {"measured_s", ToJson(user.measured_s)},
               {"local_cpu_s", OrNull(user.local_cpu_s)},
               {"server_cpu_s", OrNull(user.server_cpu_s)},
               {"local_energy_j", OrNull(user.local_energy_j)},
               {"server_energy_j", OrNull(user.server_energy_j)},
               {"measured_at_planned_s", ToJson(user.measured_at_planned_s)},
               {"upload_bytes", OrNull(user.upload_bytes)},
               {"download_bytes", OrNull(user.download_bytes)}};
  Append(user.before, "_before", &json);
  Append(user.after, "_after", &json);
  json["factors"] = ToJson(user.factors);
  return json;
}

constexpr std::pair<const char*, std::uint64_t DataRecord::*> kCounts[] = {
    {"samples", &DataRecord::samples},
    {"sequences", &DataRecord::sequences},
    {"shortened", &DataRecord::shortened},
    {"unanswered", &DataRecord::unanswered}};

Json ToJson(const DataRecord& data) {
  Json json = {{"format", data.format}};
  for (const auto& [key, member] : kCounts) json[key] = data.*member;
  json["tokens_max"] = data.tokens_max;
  json["keys_not_read"] = data.keys_not_read;
  return json;
}

DataRecord ReadData(JsonReader reader) {
  DataRecord data;
  data.format = reader.String("format");
  for (const auto& [key, member] : kCounts) {
    data.*member = static_cast<std::uint64_t>(reader.Integer(key, 0, std::int64_t{1} << 53));
  }
  data.tokens_max = static_cast<int>(reader.Integer("tokens_max", 0, 1 << 30));
  reader.ForEach("keys_not_read",
                 [&](const JsonReader& key) { data.keys_not_read.push_back(key.AsString()); });
  reader.RejectUnknownKeys();
  return data;
}

Json ToJson(const std::vector<ReferenceRecord>& records) {
  Json json = Json::array();
  for (const ReferenceRecord& record : records) {
    Json row = {{"id", record.id}};
    Append(record.quality, "", &row);
    json.push_back(std::move(row));
  }
  return json;
}

Json ToJson(const EmulationRecord& emulation) {
  Json json = {{"time_scale", emulation.time_scale},
               {"cores_asked", emulation.cores_asked},
               {"cores", emulation.cores},
               {"node_cores_asked", emulation.node_cores_asked},
               {"late", Json::array()}};
  for (const LatePhase& late : emulation.late) {
    json["late"].push_back({{"user", late.user},
                            {"phase", late.phase},
                            {"planned_s", late.planned_s},
                            {"took_s", late.took_s},
                            {"cores_asked", OrNull(late.cores_asked)},
                            {"cores_had", OrNull(late.cores_had)}});
  }
  return json;
}

EmulationRecord ReadEmulation(JsonReader reader) {
  EmulationRecord emulation{reader.Number("time_scale", kPositive),
                            reader.Number("cores_asked", kNonNegative),
                            static_cast<int>(reader.Integer("cores", 0, 1 << 20)),
                            reader.Number("node_cores_asked", kNonNegative),
                            {}};
  if (reader.HasValue("late")) {
    reader.ForEach("late", [&](JsonReader row) {
      emulation.late.push_back({row.String("user"),
                                row.String("phase"),
                                row.Number("planned_s", kNonNegative),
                                row.Number("took_s", kNonNegative),
                                row.NumberIfAny("cores_asked"),
                                row.NumberIfAny("cores_had")});
      row.RejectUnknownKeys();
    });
  }
  reader.RejectUnknownKeys();
  return emulation;
}

std::optional<std::uint64_t> OptionalBytes(JsonReader& reader, const std::string& key) {
  return reader.IntegerIfAny(key, 0, std::int64_t{1} << 53);
}

PhaseSeconds ReadSeconds(JsonReader& parent, const std::string& key) {
  JsonReader reader = parent.Object(key);
  PhaseSeconds seconds;
  for (const auto& [name, member] : kPhases) seconds.*member = reader.NumberIfAny(name);
  reader.RejectUnknownKeys();
  return seconds;
}

Quality ReadQuality(JsonReader& reader, const std::string& suffix) {
  Quality quality;
  for (const auto& [key, member] : kQualities) {
    quality.*member = reader.NumberIfAny(key + suffix);
  }
  return quality;
}

NodeFactors ReadFactors(JsonReader& parent) {
  NodeFactors factors;
  if (!parent.HasValue("factors")) return factors;
  JsonReader reader = parent.Object("factors");
  for (const auto& [key, member] : kFactors) {
    if (!reader.HasValue(key)) continue;
    JsonReader row = reader.Object(key);
    const double factor = row.Number("factor", {.low = 1.0 / kFactorMax, .high = kFactorMax});
    const double spread = row.Number("spread", {.low = 1.0, .high = kFactorMax * kFactorMax});
    const auto phases = row.Integer("phases", 1, std::numeric_limits<std::uint32_t>::max());
    row.RejectUnknownKeys();
    factors.*member = {
        std::log(factor), std::pow(std::log(spread), 2), static_cast<std::uint32_t>(phases)};
  }
  reader.RejectUnknownKeys();
  return factors;
}

bool ReadDone(JsonReader& reader) {
  const std::string state = reader.String("state");
  if (!reader.failed() && state != "done" && state != "failed") {
    reader.Reject("state", "must be \"done\" or \"failed\"");
  }
  return state == "done";
}

UserRecord ReadUser(JsonReader reader) {
  UserRecord user;
  user.id = reader.String("id");
  user.server = reader.String("server");
  user.local_layers = static_cast<int>(reader.Integer("local_layers", 0, 100'000));
  user.layers = static_cast<int>(reader.Integer("layers", 0, 100'000));
  user.failure = reader.StringIfAny("failure");
  user.predicted_s = ReadSeconds(reader, "predicted_s");
  user.measured_s = ReadSeconds(reader, "measured_s");
  user.local_cpu_s = reader.NumberIfAny("local_cpu_s");
  user.server_cpu_s = reader.NumberIfAny("server_cpu_s");
  user.local_energy_j = reader.NumberIfAny("local_energy_j");
  user.server_energy_j = reader.NumberIfAny("server_energy_j");
  user.measured_at_planned_s = ReadSeconds(reader, "measured_at_planned_s");
  user.upload_bytes = OptionalBytes(reader, "upload_bytes");
  user.download_bytes = OptionalBytes(reader, "download_bytes");
  user.before = ReadQuality(reader, "_before");
  user.after = ReadQuality(reader, "_after");
  user.factors = ReadFactors(reader);
  if (!ReadDone(reader) && !user.failure) user.failure = "not finished";
  reader.RejectUnknownKeys();
  return user;
}

std::vector<ReferenceRecord> ReadReferences(JsonReader& parent, const std::string& key) {
  std::vector<ReferenceRecord> records;
  parent.ForEach(key, [&](JsonReader reader) {
    const std::string id = reader.String("id");
    records.push_back({id, ReadQuality(reader, "")});
    reader.RejectUnknownKeys();
  });
  return records;
}

}  // namespace

bool RoundRecord::Done() const {
  return std::all_of(
      users.begin(), users.end(), [](const UserRecord& user) { return !user.failure; });
}

bool RoundRecord::ByTheClock() const {
  const auto learns = [](const auto& node) { return node.factors.Any(); };
  return emulation || std::ranges::any_of(users, learns) || std::ranges::any_of(servers, learns);
}

void AtPlannedRates(const Scenario& scenario,
                    std::size_t user,
                    const Decision& decision,
                    double machine_flop_per_s,
                    UserRecord* record) {
  const User& device = scenario.users[user];
  const SplitProfile& profile = scenario.ProfileOf(device);
  const Server& server = scenario.servers[static_cast<std::size_t>(decision.server)];
  const auto k = static_cast<std::size_t>(decision.local_layers);
  const auto compute = [&](const std::optional<double>& cpu_s, double flop_per_s) {
    return cpu_s && flop_per_s > 0.0 ? std::optional(*cpu_s * machine_flop_per_s / flop_per_s)
                                     : std::nullopt;
  };
  const auto transfer = [](const std::optional<double>& predicted_s,
                           const std::optional<std::uint64_t>& bytes,
                           double planned_bit) {
    return predicted_s && bytes && planned_bit > 0.0
               ? std::optional(*predicted_s * 8.0 * static_cast<double>(*bytes) / planned_bit)
               : std::nullopt;
  };
  record->measured_at_planned_s = {
      .local =
          compute(record->local_cpu_s, decision.local_clock_hz * device.compute.flop_per_cycle),
      .upload = transfer(record->predicted_s.upload, record->upload_bytes, profile.upload_bit[k]),
      .server =
          compute(record->server_cpu_s, decision.server_clock_hz * server.compute.flop_per_cycle),
      .download =
          transfer(record->predicted_s.download, record->download_bytes, profile.download_bit[k])};
}

std::vector<double> PredictionErrors(const RoundRecord& record,
                                     std::optional<double> PhaseSeconds::*phase) {
  std::vector<double> errors;
  for (const UserRecord& user : record.users) {
    const auto& predicted_s = user.predicted_s.*phase;
    const auto& measured_s = user.measured_at_planned_s.*phase;
    if (!predicted_s || !measured_s || !(*predicted_s > 0.0 && *measured_s > 0.0)) continue;
    errors.push_back(std::abs(*measured_s / *predicted_s - 1.0));
  }
  return errors;
}

Json ToJson(const NodeFactors& factors) {
  if (!factors.Any()) return nullptr;
  Json json = Json::object();
  for (const auto& [key, member] : kFactors) {
    const Factor& factor = factors.*member;
    if (factor.phases == 0) continue;
    json[key] = {{"factor", factor.Mean()}, {"spread", factor.Spread()}, {"phases", factor.phases}};
  }
  return json;
}

std::string WriteRound(const RoundRecord& record) {
  Json json = {
      {"schema", "dashf.round/1"},
      {"scenario_sha256", OrNull(record.scenario_sha256)},
      {"round", record.number},
      {"model", record.model},
      {"seed", record.seed},
      {"state", record.Done() ? "done" : "failed"},
      {"emulation", nullptr},
      {"data", Json::array()},
      {"users", Json::array()},
      {"references", nullptr},
      {"servers", Json::array()},
      {"bound", {{"exhaustive_scr", OrNull(record.exhaustive_scr)}, {"gap", OrNull(record.gap)}}}};
  if (record.emulation) json["emulation"] = ToJson(*record.emulation);
  for (const DataRecord& data : record.data) json["data"].push_back(ToJson(data));
  for (const UserRecord& user : record.users) json["users"].push_back(ToJson(user));
  for (const ServerRecord& server : record.servers) {
    json["servers"].push_back({{"id", server.id},
                               {"state", server.failure ? "failed" : "done"},
                               {"failure", OrNull(server.failure)},
                               {"factors", ToJson(server.factors)}});
  }
  if (record.references) {
    json["references"] = {{"all_server", ToJson(record.references->all_server)},
                          {"centralised", ToJson(record.references->centralised)}};
  }
  return DumpRows(json);
}

Expected<RoundRecord> ParseRound(const std::string& name, std::string_view bytes) {
  auto document = JsonDocument::Parse(name, bytes);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  RoundRecord record;
  if (root.String("schema") != "dashf.round/1") root.Reject("schema", "must be dashf.round/1");
  record.scenario_sha256 = root.StringIfAny("scenario_sha256");
  record.number = static_cast<std::uint32_t>(
      root.IntegerIfAny("round", 0, std::numeric_limits<std::uint32_t>::max()).value_or(1));
  record.model = root.String("model");
  record.seed =
      static_cast<std::uint64_t>(root.Integer("seed", 0, std::numeric_limits<std::int64_t>::max()));
  if (root.HasValue("emulation")) record.emulation = ReadEmulation(root.Object("emulation"));
  if (root.HasValue("data")) {
    root.ForEach("data", [&](JsonReader reader) { record.data.push_back(ReadData(reader)); });
  }
  root.ForEach("users", [&](JsonReader reader) { record.users.push_back(ReadUser(reader)); });
  root.ForEach("servers", [&](JsonReader reader) {
    const std::string id = reader.String("id");
    record.servers.push_back({id, reader.StringIfAny("failure"), ReadFactors(reader)});
    ReadDone(reader);  // Follows from "failure".
    reader.RejectUnknownKeys();
  });
  if (root.HasValue("references")) {
    JsonReader references = root.Object("references");
    record.references = {ReadReferences(references, "all_server"),
                         ReadReferences(references, "centralised")};
    references.RejectUnknownKeys();
  }
  JsonReader bound = root.Object("bound");
  record.exhaustive_scr = bound.NumberIfAny("exhaustive_scr");
  record.gap = bound.NumberIfAny("gap");
  bound.RejectUnknownKeys();
  ReadDone(root);  // Follows from the users.
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return record;
}

}  // namespace dashf
