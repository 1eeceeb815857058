#include "report/run_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "base/json.h"

namespace dashf::report {
namespace {

constexpr std::size_t kFilesMax = 200;

std::optional<double> NumberIfAny(JsonReader& reader, std::string_view key) {
  return reader.HasValue(key) ? std::optional(reader.Number(key)) : std::nullopt;
}

std::optional<std::string> TextIfAny(JsonReader& reader, std::string_view key) {
  return reader.HasValue(key) ? std::optional(reader.String(key)) : std::nullopt;
}

PhaseSeconds ReadPhases(JsonReader& parent, std::string_view key) {
  PhaseSeconds seconds;
  if (!parent.HasValue(key)) return seconds;
  JsonReader reader = parent.Object(key);
  seconds.local = NumberIfAny(reader, "local");
  seconds.upload = NumberIfAny(reader, "upload");
  seconds.server = NumberIfAny(reader, "server");
  seconds.download = NumberIfAny(reader, "download");
  return seconds;
}

Quality ReadQuality(JsonReader& reader, const std::string& suffix) {
  return {.loss = NumberIfAny(reader, "loss" + suffix),
          .exact_match = NumberIfAny(reader, "exact_match" + suffix),
          .choice_accuracy = NumberIfAny(reader, "choice_accuracy" + suffix)};
}

// A file of our own schema that carries the scenario's fingerprint.
void CheckHeader(JsonReader& root, std::string_view schema, const std::string& scenario_sha256) {
  if (root.String("schema") != schema) {
    root.Reject("schema", fmt::format("must be \"{}\"", schema));
  }
  if (root.HasValue("scenario_sha256") && root.String("scenario_sha256") != scenario_sha256) {
    root.Reject("scenario_sha256", "must be the SHA-256 of scenario.json beside it");
  }
}

class RoundReader {
 public:
  RoundReader(const LoadedScenario& loaded, Round* round) : loaded_(loaded), round_(round) {
    for (const User& user : loaded.scenario.users) {
      index_.emplace(user.id, index_.size());
      round->users.emplace_back().id = user.id;
    }
  }

  void Read(JsonReader root) {
    CheckHeader(root, "dashf.round/1", loaded_.sha256);
    round_->model = root.String("model");
    round_->seed = root.Integer("seed", 0, std::numeric_limits<std::int64_t>::max());
    root.ForEach("users", [&](JsonReader reader) {
      if (RoundUser* user = Find(reader)) ReadUser(reader, user);
    });
    root.ForEach("servers", [&](JsonReader reader) {
      std::string id = reader.String("id");
      round_->servers.push_back({std::move(id), TextIfAny(reader, "failure")});
    });
    if (root.HasValue("references")) {
      JsonReader references = root.Object("references");
      ReadReference(references, "all_server", &RoundUser::all_server);
      ReadReference(references, "centralised", &RoundUser::centralised);
    }
    if (root.HasValue("bound")) {
      JsonReader bound = root.Object("bound");
      round_->exhaustive_scr = NumberIfAny(bound, "exhaustive_scr");
      round_->gap = NumberIfAny(bound, "gap");
    }
  }

 private:
  RoundUser* Find(JsonReader& reader) {
    const auto it = index_.find(reader.String("id"));
    if (it != index_.end()) return &round_->users[it->second];
    reader.Reject("id", "must be the id of a user in the scenario");
    return nullptr;
  }

  void ReadUser(JsonReader& reader, RoundUser* user) {
    user->failure = TextIfAny(reader, "failure");
    if (reader.String("state") != "done" && !user->failure) user->failure = "not finished";
    user->predicted_s = ReadPhases(reader, "predicted_s");
    user->measured_s = ReadPhases(reader, "measured_s");
    user->measured_at_planned_s = ReadPhases(reader, "measured_at_planned_s");
    user->upload_bytes = NumberIfAny(reader, "upload_bytes");
    user->download_bytes = NumberIfAny(reader, "download_bytes");
    user->before = ReadQuality(reader, "_before");
    user->after = ReadQuality(reader, "_after");
  }

  void ReadReference(JsonReader& references, std::string_view key, Quality RoundUser::*member) {
    if (!references.HasValue(key)) return;
    references.ForEach(key, [&](JsonReader reader) {
      if (RoundUser* user = Find(reader)) user->*member = ReadQuality(reader, "");
    });
  }

  const LoadedScenario& loaded_;
  Round* round_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

Expected<Round> ReadRound(const std::filesystem::path& path, const LoadedScenario& loaded) {
  const auto document = JsonDocument::ReadFile(path.string());
  if (!document) return tl::unexpected(document.error());
  Round round;
  RoundReader(loaded, &round).Read(document->Root());
  if (document->error()) return tl::unexpected(*document->error());
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
    row.scr = NumberIfAny(reader, "scr");
    row.score = NumberIfAny(reader, "score");
    row.cost = NumberIfAny(reader, "cost");
    row.delay_s = NumberIfAny(reader, "delay_s");
    row.energy_j = NumberIfAny(reader, "energy_j");
    row.elapsed_s = NumberIfAny(reader, "elapsed_s");
    row.note = TextIfAny(reader, "note").value_or("");
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
