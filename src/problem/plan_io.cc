#include "problem/plan_io.h"

#include <fmt/format.h>

#include <algorithm>
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
constexpr double kRounding = 1e-12;  // Relative, of two computations of one ratio.
constexpr Termination kTerminations[] = {Termination::kConverged,
                                         Termination::kStalled,
                                         Termination::kIterationLimit,
                                         Termination::kTimeLimit,
                                         Termination::kNumericalError};
constexpr PrimalStatus kPrimals[] = {PrimalStatus::kInfeasiblePoint, PrimalStatus::kFeasiblePoint};
constexpr BoundStatus kBounds[] = {
    BoundStatus::kNone, BoundStatus::kNumerical, BoundStatus::kProven};

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
  reader.NumberIfAny(key);
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
  std::unordered_map<std::string, int> users;
  std::unordered_map<std::string, int> servers;

  Names() = default;
  explicit Names(const Scenario& scenario) {
    for (const User& user : scenario.users) AddUser(user.id);
    for (const Server& server : scenario.servers) AddServer(server.id);
  }
  void AddUser(const std::string& id) { users.emplace(id, static_cast<int>(users.size())); }
  void AddServer(const std::string& id) { servers.emplace(id, static_cast<int>(servers.size())); }
};

ordered_json PricesToJson(const Scenario& scenario, const std::vector<ServerPrices>& prices) {
  ordered_json rows = ordered_json::array();
  for (std::size_t m = 0; m < prices.size(); ++m) {
    ordered_json row = {{"server", scenario.servers[m].id}};
    for (const auto& [key, member] : kPriceColumns) row[std::string(key)] = prices[m].*member;
    rows.push_back(std::move(row));
  }
  return rows;
}

int Index(JsonReader& reader,
          std::string_view key,
          const std::unordered_map<std::string, int>& index) {
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
    return reader.NumberIfAny(key).value_or(std::nan(""));
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

std::vector<ServerPrices> ParsePrices(JsonReader& root, const Names& names) {
  std::vector<ServerPrices> prices(names.servers.size());
  std::vector<bool> seen(prices.size(), false);
  std::size_t count = 0;
  root.ForEach("prices", [&](JsonReader row) {
    const auto server = static_cast<std::size_t>(Index(row, "server", names.servers));
    if (!row.failed() && seen[server]) row.Reject("server", "must be priced once");
    ServerPrices price;
    for (const auto& [key, member] : kPriceColumns) price.*member = row.Number(key, kNonNegative);
    row.RejectUnknownKeys();
    if (row.failed()) return;
    seen[server] = true;
    prices[server] = price;
    ++count;
  });
  if (count == 0) return {};
  if (!root.failed() && count != prices.size()) {
    root.Reject("prices", "must price every server of the plan, or none");
  }
  return prices;
}

template <class Status, std::size_t count>
Status ParseName(JsonReader& reader, std::string_view key, const Status (&all)[count]) {
  const std::string name = reader.String(key);
  for (const Status status : all) {
    if (name == Name(status)) return status;
  }
  reader.Reject(key, fmt::format("must be the name of a {} status", key));
  return all[0];
}

void ParseStatus(JsonReader status, PlanDocument* document) {
  document->termination = ParseName(status, "termination", kTerminations);
  ParseName(status, "primal", kPrimals);
  if (status.HasValue("bound")) ParseName(status, "bound", kBounds);
  document->scr_upper = status.NumberIfAny("scr_upper", kPositive);
  SkipNumber(status, "gap");
  status.RejectUnknownKeys();
}

void CheckScenario(JsonReader& root, const LoadedScenario* loaded, PlanDocument* document) {
  document->scenario_sha256 = root.String("scenario_sha256");
  if (loaded == nullptr || root.failed() || document->scenario_sha256 == loaded->sha256) return;
  root.Reject("scenario_sha256",
              fmt::format("must be the scenario file's SHA-256 {}: the plan belongs to another "
                          "scenario",
                          loaded->sha256));
}

// Decisions are all that a plan made elsewhere must have. `loaded` is null where the plan is not
// held against a scenario.
PlanDocument ParseRoot(JsonReader root, const Names& names, const LoadedScenario* loaded) {
  PlanDocument document;
  if (const std::string schema = root.String("schema"); !root.failed() && schema != kSchema) {
    root.Reject("schema", fmt::format("must be \"{}\"", kSchema));
  }
  if (root.HasValue("scenario_sha256")) CheckScenario(root, loaded, &document);
  document.method = root.HasValue("method") ? root.String("method") : "unknown";
  if (root.HasValue("version")) document.version = root.String("version");
  if (root.HasValue("seed")) {
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    document.seed = static_cast<std::uint64_t>(root.Integer("seed", 0, kMax));
  }
  if (root.HasValue("status")) ParseStatus(root.Object("status"), &document);
  for (const std::string_view result : {"scr", "score", "cost", "delay_s", "energy_j"}) {
    SkipNumber(root, result);
  }
  if (root.HasValue("bound") && loaded != nullptr) {
    document.certificate = ParseBound(root.Object("bound"), loaded->scenario);
  }
  if (root.HasValue("prices")) document.prices = ParsePrices(root, names);
  document.plan.resize(names.users.size());
  std::vector<bool> seen(document.plan.size(), false);
  root.ForEach("assignments", [&](const JsonReader& assignment) {
    ParseAssignment(assignment, names, &seen, &document.plan);
  });
  for (std::size_t n = 0; loaded != nullptr && n < seen.size() && !root.failed(); ++n) {
    if (!seen[n]) {
      root.Reject("assignments",
                  fmt::format("must assign user \"{}\"", loaded->scenario.users[n].id));
    }
  }
  if (root.HasValue("history")) {
    root.ForEach("history", [&](const JsonReader& record) {
      document.history.push_back(ParseRecord(record));
    });
  }
  root.RejectUnknownKeys();
  return document;
}

Expected<PlanDocument> FromDocument(const Expected<JsonDocument>& json,
                                    const LoadedScenario& loaded) {
  if (!json) return tl::unexpected(json.error());
  PlanDocument document = ParseRoot(json->Root(), Names(loaded.scenario), &loaded);
  if (json->error()) return tl::unexpected(*json->error());
  return document;
}

ordered_json StatusToJson(const PlanDocument& document, const Evaluation& evaluation) {
  const PlanStatus status = StatusOf(document, evaluation);
  return {{"termination", Name(document.termination)},
          {"primal", Name(status.primal)},
          {"bound", Name(status.bound)},
          {"scr_upper", status.scr_upper ? ordered_json(*status.scr_upper) : ordered_json()},
          {"gap", status.gap ? FiniteOrNull(*status.gap) : ordered_json()}};
}

Expected<NamedPlan> NamedFromDocument(const Expected<JsonDocument>& json) {
  if (!json) return tl::unexpected(json.error());
  NamedPlan named;
  Names names;
  // Whatever the file calls a user or a server is one; the strict reading comes after.
  const auto note = [](const std::string& id, auto* index_of, std::vector<std::string>* ids) {
    if (index_of->emplace(id, static_cast<int>(index_of->size())).second) ids->push_back(id);
  };
  JsonReader root = json->Root();
  root.ForEach("assignments", [&](JsonReader row) {
    note(row.String("user"), &names.users, &named.users);
    note(row.String("server"), &names.servers, &named.servers);
  });
  if (root.HasValue("prices")) {
    root.ForEach("prices", [&](JsonReader row) {
      note(row.String("server"), &names.servers, &named.servers);
    });
  }
  named.document = ParseRoot(json->Root(), names, nullptr);
  if (json->error()) return tl::unexpected(*json->error());
  return named;
}

}  // namespace

PlanStatus StatusOf(const PlanDocument& document, const Evaluation& evaluation) {
  PlanStatus status;
  if (evaluation.feasible) status.primal = PrimalStatus::kFeasiblePoint;
  if (document.certificate) {
    status.bound = BoundStatus::kProven;
    status.scr_upper = document.certificate->scr_upper;
  } else if (document.scr_upper &&
             !(evaluation.feasible && evaluation.scr > *document.scr_upper * (1.0 + kRounding))) {
    status.bound = BoundStatus::kNumerical;
    status.scr_upper =
        evaluation.feasible ? std::max(*document.scr_upper, evaluation.scr) : *document.scr_upper;
  }
  if (status.scr_upper) status.gap = (*status.scr_upper - evaluation.scr) / *status.scr_upper;
  return status;
}

std::string WritePlan(const Scenario& scenario, const PlanDocument& document) {
  const Evaluation evaluation = Evaluate(scenario, document.plan);
  return DumpRows({{"schema", kSchema},
                   {"scenario_sha256", document.scenario_sha256},
                   {"method", document.method},
                   {"version", document.version},
                   {"seed", document.seed},
                   {"status", StatusToJson(document, evaluation)},
                   {"scr", FiniteOrNull(evaluation.scr)},
                   {"score", FiniteOrNull(evaluation.score)},
                   {"cost", FiniteOrNull(evaluation.cost)},
                   {"delay_s", FiniteOrNull(evaluation.delay_s)},
                   {"energy_j", FiniteOrNull(evaluation.energy_j)},
                   {"bound",
                    document.certificate ? BoundToJson(*document.certificate, evaluation.scr)
                                         : ordered_json(nullptr)},
                   {"prices", PricesToJson(scenario, document.prices)},
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

Expected<NamedPlan> ParseNamedPlan(const std::string& name, std::string_view bytes) {
  return NamedFromDocument(JsonDocument::Parse(name, bytes));
}

Expected<NamedPlan> ReadNamedPlan(const std::string& path) {
  return NamedFromDocument(JsonDocument::ReadFile(path));
}

}  // namespace dashf
