#include "live/history.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/file.h"
#include "base/json.h"
#include "live/fleet_json.h"
#include "round/round_record.h"
#include "runtime/fleet_view.h"

namespace dashf::live {
namespace {

namespace fs = std::filesystem;

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json OrNull(float value) {
  return std::isnan(value) ? Json() : Json(value);
}

float Sum(const PhaseSeconds& seconds) {
  float sum = kUnknown;
  for (const auto& phase : {seconds.local, seconds.upload, seconds.server, seconds.download}) {
    if (phase) sum = (std::isnan(sum) ? 0.0F : sum) + static_cast<float>(*phase);
  }
  return sum;
}

float OrUnknown(const std::optional<double>& value) {
  return value ? static_cast<float>(*value) : kUnknown;
}

// Over the users for whom both are known.
void MeanLosses(const RoundRecord& record,
                std::optional<double>* before,
                std::optional<double>* after) {
  double sum_before = 0.0, sum_after = 0.0;
  int users = 0;
  for (const UserRecord& user : record.users) {
    if (user.failure || !user.before.loss || !user.after.loss) continue;
    sum_before += *user.before.loss;
    sum_after += *user.after.loss;
    ++users;
  }
  if (users == 0) return;
  *before = sum_before / users;
  *after = sum_after / users;
}

}  // namespace

PlanFacts ReadPlanFacts(const fs::path& path) {
  PlanFacts facts;
  const auto document = JsonDocument::ReadFile(path.string());
  if (!document) return facts;
  JsonReader root = document->Root();
  facts.method = root.StringIfAny("method").value_or("");
  facts.scr = root.NumberIfAny("scr");
  if (root.HasValue("status")) {
    JsonReader status = root.Object("status");
    facts.scr_upper = status.NumberIfAny("scr_upper");
  }
  return facts;
}

void History::Add(const fleet::RoundSummary& summary) {
  entries_.insert_or_assign(summary.number, Entry{summary, std::nullopt});
  while (entries_.size() > fleet::kHistoryMax) {
    const auto oldest = entries_.begin();
    if (oldest->second.files) parts_ -= oldest->second.files->parts.size();
    entries_.erase(oldest);
  }
}

fs::path History::FolderOf(std::uint32_t round) const {
  return rounds_ / fmt::format("{:04}", round);
}

std::uint32_t History::NumberOf(const std::string& name) {
  const auto [at, is_new] = numbers_.emplace(name, static_cast<std::uint32_t>(names_.size()));
  if (is_new) names_.push_back(name);
  return at->second;
}

History::Files History::Read(std::uint32_t round) {
  const PlanFacts plan = ReadPlanFacts(FolderOf(round) / "plan.json");
  Files files{plan.method, plan.scr, plan.scr_upper, std::nullopt, std::nullopt, {}};
  const fs::path path = FolderOf(round) / "round.json";
  const auto text = ReadFile(path);
  const auto record = text ? ParseRound(path.string(), *text) : tl::unexpected(text.error());
  if (!record) return files;  // Its folder may be deleted at any time.
  MeanLosses(*record, &files.loss_before, &files.loss_after);
  for (const UserRecord& user : record->users) {
    if (user.server.empty()) continue;
    files.parts.push_back({NumberOf(user.id),
                           NumberOf(user.server),
                           !user.failure,
                           static_cast<std::int16_t>(user.local_layers),
                           Sum(user.predicted_s),
                           Sum(user.measured_at_planned_s),
                           OrUnknown(user.before.loss),
                           OrUnknown(user.after.loss)});
  }
  return files;
}

std::optional<std::uint32_t> History::ReadOne() {
  for (auto at = entries_.rbegin(); at != entries_.rend(); ++at) {
    if (at->second.files) continue;
    at->second.files = Read(at->first);
    parts_ += at->second.files->parts.size();
    Forget();
    return at->first;
  }
  return std::nullopt;
}

// Users' parts of the earliest rounds.
void History::Forget() {
  for (auto& [number, entry] : entries_) {
    if (parts_ <= parts_max_) return;
    if (!entry.files) continue;
    parts_ -= entry.files->parts.size();
    entry.files->parts = {};
  }
}

Json History::Row(std::uint32_t round) const {
  const auto found = entries_.find(round);
  if (found == entries_.end()) return {};
  Json row = runtime::ToJson(found->second.summary);
  static const Files kNone;
  const bool read = found->second.files.has_value();
  const Files& files = read ? *found->second.files : kNone;
  row["read"] = read;
  row["method"] = files.method.empty() ? Json() : Json(files.method);
  row["scr"] = OrNull(files.scr);
  row["scr_upper"] = OrNull(files.scr_upper);
  row["loss_before"] = OrNull(files.loss_before);
  row["loss_after"] = OrNull(files.loss_after);
  return row;
}

Json History::Rows(std::uint32_t before, std::size_t rows_max) const {
  Json rows = Json::array();
  Json next;
  for (auto at = entries_.lower_bound(before); at != entries_.begin();) {
    --at;
    if (rows.size() == rows_max) {
      next = at->first + 1;
      break;
    }
    rows.push_back(Row(at->first));
  }
  return {{"rounds", std::move(rows)}, {"next_before", std::move(next)}};
}

Expected<Json> History::Round(std::uint32_t round) const {
  Json row = Row(round);
  if (row.is_null()) {
    return Fail(ErrorKind::kBadInput, "", fmt::format("round {} is none that has ended", round));
  }
  const fs::path path = FolderOf(round) / "round.json";
  const auto text = ReadFile(path);
  const auto record = text ? ParseRound(path.string(), *text) : tl::unexpected(text.error());
  if (!record) {
    return Fail(ErrorKind::kIo, "", fmt::format("the record of round {} is not there", round));
  }
  const PlanFacts plan = ReadPlanFacts(FolderOf(round) / "plan.json");
  row["method"] = plan.method.empty() ? Json() : Json(plan.method);
  row["scr"] = OrNull(plan.scr);
  row["scr_upper"] = OrNull(plan.scr_upper);
  std::optional<double> before, after;
  MeanLosses(*record, &before, &after);
  row["loss_before"] = OrNull(before);
  row["loss_after"] = OrNull(after);
  row["time_scale"] = record->emulation ? record->emulation->time_scale : 0.0;
  row["model"] = record->model;
  row["parts"] = Json::array();
  const std::vector<runtime::PartRow> parts = runtime::PartsOf(*record);
  for (std::size_t n = 0; n < parts.size(); ++n) {
    row["parts"].push_back(PartJson(parts[n], record->users[n]));
    row["layers"] = record->users[n].layers;
  }
  row["servers"] = Json::array();
  for (const ServerRecord& server : record->servers) {
    row["servers"].push_back({{"server", server.id}, {"failure", OrNull(server.failure)}});
  }
  return row;
}

Json History::User(const std::string& user) const {
  Json rows = Json::array();
  const auto number = numbers_.find(user);
  if (number == numbers_.end()) return rows;
  for (auto at = entries_.rbegin(); at != entries_.rend(); ++at) {
    if (!at->second.files) continue;
    for (const Part& part : at->second.files->parts) {
      if (part.user != number->second) continue;
      rows.push_back({{"round", at->first},
                      {"ended_s", 1e-3 * static_cast<double>(at->second.summary.ended)},
                      {"state", part.done ? "done" : "failed"},
                      {"server", names_[part.server]},
                      {"k", part.local_layers},
                      {"predicted_s", OrNull(part.predicted_s)},
                      {"at_planned_s", OrNull(part.at_planned_s)},
                      {"loss_before", OrNull(part.loss_before)},
                      {"loss_after", OrNull(part.loss_after)}});
    }
  }
  return rows;
}

}  // namespace dashf::live
