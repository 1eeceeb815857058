#include "report/run_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/file.h"
#include "base/json.h"

namespace dashf::report {
namespace {

constexpr std::size_t kFilesMax = 200;

// The record's users in the scenario's order, each beside its references.
Expected<Round> ReadRound(const std::filesystem::path& path, const LoadedScenario& loaded) {
  const auto bytes = ReadFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  auto record = ParseRound(path.string(), *bytes);
  if (!record) return tl::unexpected(record.error());
  const auto reject = [&](std::string_view where, std::string_view rule) {
    return Fail(
        ErrorKind::kBadInput, fmt::format("{}: {}", path.string(), where), std::string(rule));
  };
  if (record->scenario_sha256 && *record->scenario_sha256 != loaded.sha256) {
    return reject("scenario_sha256", "must be the SHA-256 of scenario.json beside it");
  }
  Round round{.number = record->number,
              .model = std::move(record->model),
              .seed = record->seed,
              .emulation = record->emulation,
              .by_the_clock = record->ByTheClock(),
              .users = {},
              .unplanned = {},
              .servers = std::move(record->servers),
              .exhaustive_scr = record->exhaustive_scr,
              .gap = record->gap};
  std::unordered_map<std::string, std::size_t> index;
  for (const User& user : loaded.scenario.users) {
    index.emplace(user.id, index.size());
    round.users.emplace_back().id = user.id;
  }
  for (std::size_t i = 0; i < record->users.size(); ++i) {
    const auto at = index.find(record->users[i].id);
    if (at == index.end()) {
      round.unplanned.push_back(std::move(record->users[i]));
      continue;
    }
    static_cast<UserRecord&>(round.users[at->second]) = std::move(record->users[i]);
  }
  if (!record->references) return round;
  for (const auto& [name, records, member] :
       {std::tuple("all_server", &record->references->all_server, &RoundUser::all_server),
        std::tuple("centralised", &record->references->centralised, &RoundUser::centralised)}) {
    for (std::size_t i = 0; i < records->size(); ++i) {
      const auto at = index.find((*records)[i].id);
      if (at == index.end()) {
        return reject(fmt::format("references.{}[{}].id", name, i),
                      "must be the id of a user in the scenario");
      }
      round.users[at->second].*member = (*records)[i].quality;
    }
  }
  return round;
}

Expected<std::vector<MethodResult>> ReadComparison(const std::filesystem::path& path) {
  const auto document = JsonDocument::ReadFile(path.string());
  if (!document) return tl::unexpected(document.error());
  std::vector<MethodResult> rows;
  JsonReader root = document->Root();
  root.ForEach("rows", [&rows](JsonReader reader) {
    MethodResult row;
    row.method = reader.String("method");
    row.scr = reader.NumberIfAny("scr");
    row.score = reader.NumberIfAny("score");
    row.cost = reader.NumberIfAny("cost");
    row.delay_s = reader.NumberIfAny("delay_s");
    row.energy_j = reader.NumberIfAny("energy_j");
    row.elapsed_s = reader.NumberIfAny("elapsed_s");
    row.note = reader.StringIfAny("note").value_or("");
    rows.push_back(std::move(row));
  });
  if (document->error()) return tl::unexpected(*document->error());
  return rows;
}

std::vector<std::string> ListFiles(const std::filesystem::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(folder, error);
  for (const std::filesystem::recursive_directory_iterator end; !error && it != end;
       it.increment(error)) {
    if (files.size() == kFilesMax) break;
    std::error_code ignored;
    if (it->is_regular_file(ignored)) {
      files.push_back(it->path().lexically_relative(folder).string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Expected<RunDirectory> ReadRunDirectory(const std::filesystem::path& folder) {
  auto loaded = ReadScenario((folder / "scenario.json").string());
  if (!loaded) return tl::unexpected(loaded.error());
  auto plan = ReadPlan((folder / "plan.json").string(), *loaded);
  if (!plan) return tl::unexpected(plan.error());
  RunDirectory run;
  run.evaluation = Evaluate(loaded->scenario, plan->plan);
  run.loaded = std::move(*loaded);
  run.plan = std::move(*plan);
  std::error_code error;
  if (std::filesystem::exists(folder / "comparison.json", error)) {
    auto comparison = ReadComparison(folder / "comparison.json");
    if (!comparison) return tl::unexpected(comparison.error());
    run.comparison = std::move(*comparison);
  }
  if (std::filesystem::exists(folder / "round.json", error)) {
    auto round = ReadRound(folder / "round.json", run.loaded);
    if (!round) return tl::unexpected(round.error());
    run.round = std::move(*round);
  }
  run.files = ListFiles(folder);
  return run;
}

}  // namespace dashf::report
