#include "problem/plan_io.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/json.h"
#include "problem/certificate_io.h"
#include "problem/evaluation_json.h"

namespace dashf {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kSchema = "dashf.plan/1";
constexpr Termination kTerminations[] = {Termination::kConverged,
                                         Termination::kStalled,
                                         Termination::kIterationLimit,
                                         Termination::kTimeLimit,
                                         Termination::kNumericalError};

ordered_json AssignmentsToJson(const Scenario& scenario,
                               const Plan& plan,
                               const Evaluation& evaluation) {
  ordered_json assignments = ordered_json::array();
  for (std::size_t n = 0; n < plan.size(); ++n) {
    const Decision& decision = plan[n];
    const UserEvaluation& user = evaluation.users[n];
    assignments.push_back(
        {{"user", scenario.users[n].id},
         {"server", scenario.servers[static_cast<std::size_t>(decision.server)].id},
         {"local_layers", decision.local_layers},
         {"local_clock_hz", decision.local_clock_hz},
         {"tx_power_w", decision.tx_power_w},
         {"bandwidth_hz", decision.bandwidth_hz},
         {"server_tx_power_w", decision.server_tx_power_w},
         {"server_clock_hz", decision.server_clock_hz},
         {"delay_s", ToJson(user.delay_s)},
         {"energy_j", ToJson(user.energy_j)},
         {"score", FiniteOrNull(user.score)}});
  }
  return assignments;
}

ordered_json HistoryToJson(const std::vector<IterationRecord>& history) {
  ordered_json rows = ordered_json::array();
  for (const IterationRecord& record : history) {
    rows.push_back({{"iteration", record.iteration},
                    {"scr", FiniteOrNull(record.scr)},
                    {"residual", FiniteOrNull(record.residual)},
                    {"elapsed_s", FiniteOrNull(record.elapsed_s)},
                    {"step", record.step}});
  }
  return rows;
}

// Results that a file states about itself: numbers, or null where there is no value. They are
// evaluated anew, so their type is all that is asked.
void SkipNumber(JsonReader& reader, std::string_view key) {
  if (reader.HasValue(key)) reader.Number(key);
}

void SkipPhases(JsonReader& parent, std::string_view key) {
  if (!parent.HasValue(key)) return;
  JsonReader phases = parent.Object(key);
  for (const std::string_view phase : {"local", "upload", "server", "download"}) {
    SkipNumber(phases, phase);
  }
  phases.RejectUnknownKeys();
}

struct Names {
  std::unordered_map<std::string_view, int> users;
  std::unordered_map<std::string_view, int> servers;

  explicit Names(const Scenario& scenario) {
    for (const User& user : scenario.users) {
      users.emplace(user.id, static_cast<int>(users.size()));
    }
    for (const Server& server : scenario.servers) {
      servers.emplace(server.id, static_cast<int>(servers.size()));
    }
  }
};

int Index(JsonReader& reader,
          std::string_view key,
          const std::unordered_map<std::string_view, int>& index) {
  const auto it = index.find(reader.String(key));
  if (it != index.end()) return it->second;
  reader.Reject(key, fmt::format("must be the id of a {} in the scenario", key));
  return 0;
}

void ParseAssignment(JsonReader reader, const Names& names, std::vector<bool>* seen, Plan* plan) {
  const auto user = static_cast<std::size_t>(Index(reader, "user", names.users));
  if (!reader.failed() && (*seen)[user]) reader.Reject("user", "must be assigned once");
  Decision decision;
  decision.server = Index(reader, "server", names.servers);
  constexpr int kIntMax = std::numeric_limits<int>::max();
  decision.local_layers = static_cast<int>(reader.Integer("local_layers", -kIntMax, kIntMax));
  decision.local_clock_hz = reader.Number("local_clock_hz");
  decision.tx_power_w = reader.Number("tx_power_w");
  decision.bandwidth_hz = reader.Number("bandwidth_hz");
  decision.server_tx_power_w = reader.Number("server_tx_power_w");
  decision.server_clock_hz = reader.Number("server_clock_hz");
  SkipPhases(reader, "delay_s");
  SkipPhases(reader, "energy_j");
  SkipNumber(reader, "score");
  reader.RejectUnknownKeys();
  if (reader.failed()) return;
  (*seen)[user] = true;
  (*plan)[user] = decision;
}

IterationRecord ParseRecord(JsonReader reader) {
  IterationRecord record;
  const auto number = [&reader](std::string_view key) {
    return reader.HasValue(key) ? reader.Number(key) : std::nan("");
  };
  record.iteration =
      static_cast<int>(reader.Integer("iteration", 0, std::numeric_limits<int>::max()));
  record.scr = number("scr");
  record.residual = number("residual");
  record.elapsed_s = number("elapsed_s");
  record.step = reader.String("step");
  reader.RejectUnknownKeys();
  return record;
}

Termination ParseStatus(JsonReader status) {
  const std::string name = status.String("termination");
  status.Boolean("feasible");
  status.RejectUnknownKeys();
  for (const Termination termination : kTerminations) {
    if (name == Name(termination)) return termination;
  }
  status.Reject("termination", "must be the name of a termination");
  return Termination::kNumericalError;
}

PlanDocument ParseRoot(JsonReader root, const LoadedScenario& loaded) {
  PlanDocument document;
  if (const std::string schema = root.String("schema"); !root.failed() && schema != kSchema) {
    root.Reject("schema", fmt::format("must be \"{}\"", kSchema));
  }
  document.scenario_sha256 = root.String("scenario_sha256");
  if (!root.failed() && document.scenario_sha256 != loaded.sha256) {
    root.Reject("scenario_sha256",
                fmt::format("must be the scenario file's SHA-256 {}: the plan belongs to another "
                            "scenario",
                            loaded.sha256));
  }
  document.method = root.String("method");
  document.version = root.String("version");
  document.seed =
      static_cast<std::uint64_t>(root.Integer("seed", 0, std::numeric_limits<std::int64_t>::max()));
  document.termination = ParseStatus(root.Object("status"));
  for (const std::string_view result : {"scr", "score", "cost", "delay_s", "energy_j"}) {
    SkipNumber(root, result);
  }
  if (root.HasValue("bound")) {
    document.certificate = ParseBound(root.Object("bound"), loaded.scenario);
  }
  document.plan.resize(loaded.scenario.users.size());
  std::vector<bool> seen(document.plan.size(), false);
  const Names names(loaded.scenario);
  root.ForEach("assignments", [&](const JsonReader& assignment) {
    ParseAssignment(assignment, names, &seen, &document.plan);
  });
  for (std::size_t n = 0; n < seen.size() && !root.failed(); ++n) {
    if (!seen[n]) {
      root.Reject("assignments",
                  fmt::format("must assign user \"{}\"", loaded.scenario.users[n].id));
    }
  }
  root.ForEach("history",
               [&](const JsonReader& record) { document.history.push_back(ParseRecord(record)); });
  root.RejectUnknownKeys();
  return document;
}

Expected<PlanDocument> FromDocument(const Expected<JsonDocument>& json,
                                    const LoadedScenario& loaded) {
  if (!json) return tl::unexpected(json.error());
  PlanDocument document = ParseRoot(json->Root(), loaded);
  if (json->error()) return tl::unexpected(*json->error());
  return document;
}

}  // namespace

std::string WritePlan(const Scenario& scenario, const PlanDocument& document) {
  const Evaluation evaluation = Evaluate(scenario, document.plan);
  return DumpRows(
      {{"schema", kSchema},
       {"scenario_sha256", document.scenario_sha256},
       {"method", document.method},
       {"version", document.version},
       {"seed", document.seed},
       {"status", {{"termination", Name(document.termination)}, {"feasible", evaluation.feasible}}},
       {"scr", FiniteOrNull(evaluation.scr)},
       {"score", FiniteOrNull(evaluation.score)},
       {"cost", FiniteOrNull(evaluation.cost)},
       {"delay_s", FiniteOrNull(evaluation.delay_s)},
       {"energy_j", FiniteOrNull(evaluation.energy_j)},
       {"bound",
        document.certificate ? BoundToJson(*document.certificate, evaluation.scr)
                             : ordered_json(nullptr)},
       {"assignments", AssignmentsToJson(scenario, document.plan, evaluation)},
       {"history", HistoryToJson(document.history)}});
}

Expected<PlanDocument> ParsePlan(const std::string& name,
                                 std::string_view bytes,
                                 const LoadedScenario& loaded) {
  return FromDocument(JsonDocument::Parse(name, bytes), loaded);
}

Expected<PlanDocument> ReadPlan(const std::string& path, const LoadedScenario& loaded) {
  return FromDocument(JsonDocument::ReadFile(path), loaded);
}

}  // namespace dashf
