#include "cli/runtime/run_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

#include "base/counted.h"
#include "base/median.h"
#include "runtime/fleet_record.h"

namespace dashf::cli {
namespace {

std::string Number(const std::optional<double>& value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : "-";
}

std::string Seconds(const std::optional<double>& value) {
  return value ? fmt::format("{:.3g}", *value) : "-";
}

std::string Percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f}", 100.0 * *share) : "-";
}

Quality Find(const std::vector<ReferenceRecord>& records, const std::string& id) {
  const auto found = std::find_if(records.begin(),
                                  records.end(),
                                  [&](const ReferenceRecord& record) { return record.id == id; });
  return found == records.end() ? Quality{} : found->quality;
}

void PrintQuality(const RoundRecord& record) {
  fmt::print(
      "Held-out data: loss (nat per answer token) and exact match (%), of the base model without "
      "adapter\nand after the round\n");
  fmt::print("{:<20} {:<38}  {}\n", "", "loss", "exact match");
  fmt::print("{:<6} {:<6} {:>5}  {:>7} {:>7} {:>10} {:>11}  {:>6} {:>6} {:>10} {:>11}  {}\n",
             "user",
             "server",
             "k/L",
             "base",
             "after",
             "all-server",
             "centralised",
             "base",
             "after",
             "all-server",
             "centralised",
             "state");
  const References none;
  const References& references = record.references ? *record.references : none;
  for (const UserRecord& user : record.users) {
    const Quality all_server = Find(references.all_server, user.id);
    const Quality centralised = Find(references.centralised, user.id);
    fmt::print("{:<6} {:<6} {:>5}  {:>7} {:>7} {:>10} {:>11}  {:>6} {:>6} {:>10} {:>11}  {}\n",
               user.id,
               user.server.empty() ? "-" : user.server,
               fmt::format("{}/{}", user.local_layers, user.layers),
               Number(user.before.loss, 3),
               Number(user.after.loss, 3),
               Number(all_server.loss, 3),
               Number(centralised.loss, 3),
               Percent(user.before.exact_match),
               Percent(user.after.exact_match),
               Percent(all_server.exact_match),
               Percent(centralised.exact_match),
               user.failure ? "FAILED: " + *user.failure : "done");
  }
}

void PrintTimes(const RoundRecord& record) {
  fmt::print("\nPhase times (s): p = predicted by the plan, m = {},\nw = wall clock\n",
             record.emulation      ? "wall clock in the plan's seconds"
             : record.ByTheClock() ? "wall clock, which plans learn from"
                                   : "measured work and bytes at the plan's clocks and rates");
  fmt::print("{:<6} {:^26}  {:^26}  {:^26}  {:^26}\n",
             "",
             "local training",
             "upload",
             "server training",
             "download");
  fmt::print("{:<6}", "user");
  for (int i = 0; i < 4; ++i) fmt::print(" {:>8} {:>8} {:>8} ", "p", "m", "w");
  fmt::print("\n");
  for (const UserRecord& user : record.users) {
    fmt::print("{:<6}", user.id);
    for (const auto phase : {&PhaseSeconds::local,
                             &PhaseSeconds::upload,
                             &PhaseSeconds::server,
                             &PhaseSeconds::download}) {
      fmt::print(" {:>8} {:>8} {:>8} ",
                 Seconds(user.predicted_s.*phase),
                 Seconds(user.measured_at_planned_s.*phase),
                 Seconds(user.measured_s.*phase));
    }
    fmt::print("\n");
  }
}

constexpr std::pair<const char*, std::optional<double> PhaseSeconds::*> kPhases[] = {
    {"local training", &PhaseSeconds::local},
    {"upload", &PhaseSeconds::upload},
    {"server training", &PhaseSeconds::server},
    {"download", &PhaseSeconds::download}};

void PrintErrors(const RoundRecord& record) {
  fmt::print("\n{:<16} {:>6} {:>12} {:>11}\n", "|m / p - 1| (%)", "users", "median", "worst");
  for (const auto& [name, phase] : kPhases) {
    const std::vector<double> errors = PredictionErrors(record, phase);
    if (errors.empty()) continue;
    fmt::print("{:<16} {:>6} {:>12.1f} {:>11.1f}\n",
               name,
               errors.size(),
               100.0 * Median(errors),
               100.0 * *std::max_element(errors.begin(), errors.end()));
  }
}

void PrintServers(const RoundRecord& record) {
  for (const ServerRecord& server : record.servers) {
    if (server.failure) fmt::print("server {} FAILED: {}\n", server.id, *server.failure);
  }
}

// What a fleet learns of its nodes shows here.
void PrintWorstErrors(const std::vector<RoundRecord>& rounds) {
  fmt::print("Of all users the worst |measured / predicted - 1| (%)\n{:>5}", "round");
  for (const auto& [name, phase] : kPhases) fmt::print("  {:>15}", name);
  fmt::print("\n");
  for (const RoundRecord& record : rounds) {
    fmt::print("{:>5}", record.number);
    for (const auto& [name, phase] : kPhases) {
      const std::vector<double> errors = PredictionErrors(record, phase);
      const auto worst = std::max_element(errors.begin(), errors.end());
      fmt::print("  {:>15}", worst == errors.end() ? "-" : fmt::format("{:.1f}", 100.0 * *worst));
    }
    fmt::print("\n");
  }
  fmt::print("\n");
}

// Of those that have one.
std::optional<double> MeanLoss(const RoundRecord& record, Quality UserRecord::*quality) {
  double sum = 0.0;
  int users = 0;
  for (const UserRecord& user : record.users) {
    const std::optional<double>& loss = (user.*quality).loss;
    if (!loss) continue;
    sum += *loss;
    ++users;
  }
  return users > 0 ? std::optional(sum / users) : std::nullopt;
}

}  // namespace

void PrintRounds(const std::vector<RoundRecord>& rounds) {
  fmt::print(
      "Rounds: mean held-out loss (nat per answer token) of the untrained model and after each\n");
  fmt::print("{:>5}  {:>10}  {:>9}  {:>7}  {}\n",
             "round",
             "users done",
             "untrained",
             "after",
             "servers lost");
  for (const RoundRecord& record : rounds) {
    const auto done = std::count_if(
        record.users.begin(), record.users.end(), [](const auto& user) { return !user.failure; });
    std::string lost;
    for (const ServerRecord& server : record.servers) {
      if (server.failure) lost += fmt::format("server {}: {}; ", server.id, *server.failure);
    }
    fmt::print("{:>5}  {:>10}  {:>9}  {:>7}  {}\n",
               record.number,
               fmt::format("{} of {}", done, record.users.size()),
               Number(MeanLoss(record, &UserRecord::before), 3),
               Number(MeanLoss(record, &UserRecord::after), 3),
               lost.substr(0, lost.size() - std::min<std::size_t>(lost.size(), 2)));
  }
  fmt::print("\n");
  PrintWorstErrors(rounds);
}

bool IsOf(const Scenario& scenario, const RoundRecord& record, const CarriedOut& plan) {
  return record.number == 1 && plan.users == scenario.users.size() &&
         plan.servers == scenario.servers.size();
}

void PrintRun(const RoundRecord& record,
              const Scenario& scenario,
              const std::vector<solvers::ComparisonRow>& comparison,
              const CarriedOut* plan) {
  PrintQuality(record);
  PrintServers(record);
  PrintTimes(record);
  PrintErrors(record);
  if (const auto& emulation = record.emulation) {
    fmt::print("\n{}\n", runtime::EmulationLine(*emulation));
  }
  fmt::print("\nPlanning methods on the scenario before the first round: {}, {}\n",
             Counted(scenario.users.size(), "user"),
             Counted(scenario.servers.size(), "server"));
  solvers::PrintComparison(comparison);
  if (plan != nullptr) fmt::print("\nSCR of the plan carried out: {:.6e}\n", plan->scr);
  if (plan != nullptr && !IsOf(scenario, record, *plan)) {
    fmt::print(
        "This plan is of round {}, in which {} and {} took part; users that go on from an adapter "
        "send\nall of it up. Its SCR is not to be held against the table.\n",
        record.number,
        Counted(plan->users, "user"),
        Counted(plan->servers, "server"));
  }
  if (record.gap) {
    fmt::print("Exhaustive optimum: {:.6e}; the plan is {:.4f} % below it\n",
               *record.exhaustive_scr,
               std::abs(*record.gap) < 5e-7 ? 0.0 : 100.0 * *record.gap);  // No "-0.0000".
  }
}

}  // namespace dashf::cli
