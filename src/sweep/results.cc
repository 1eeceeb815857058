#include "sweep/results.h"

#include <limits>

#include "base/json.h"

namespace dashf::sweep {
namespace {

constexpr char kSchema[] = "dashf.sweep/1";

Outcome ReadOutcome(JsonReader reader) {
  Outcome outcome;
  outcome.method = reader.String("method");
  outcome.solved = reader.Boolean("solved");
  outcome.note = reader.String("note");
  outcome.elapsed_s = reader.Number("elapsed_s", kNonNegative);
  if (outcome.solved) {
    outcome.scr = reader.Number("scr");
    outcome.score = reader.Number("score");
    outcome.cost = reader.Number("cost");
    outcome.delay_s = reader.Number("delay_s");
    outcome.energy_j = reader.Number("energy_j");
  }
  reader.RejectUnknownKeys();
  return outcome;
}

}  // namespace

std::string WriteLine(const Job& job, const std::vector<Outcome>& outcomes) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Outcome& outcome : outcomes) {
    rows.push_back({{"method", outcome.method},
                    {"solved", outcome.solved},
                    {"note", outcome.note},
                    {"elapsed_s", outcome.elapsed_s}});
    if (!outcome.solved) continue;
    rows.back().update(nlohmann::ordered_json{{"scr", outcome.scr},
                                              {"score", outcome.score},
                                              {"cost", outcome.cost},
                                              {"delay_s", outcome.delay_s},
                                              {"energy_j", outcome.energy_j}});
  }
  return nlohmann::ordered_json{{"point", job.point}, {"seed", job.seed}, {"rows", rows}}.dump();
}

Expected<std::pair<Job, std::vector<Outcome>>> ParseLine(const std::string& place,
                                                         std::string_view line) {
  const auto document = JsonDocument::Parse(place, line);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  Job job;
  job.point = root.Numbers("point", kPositive);
  job.seed =
      static_cast<std::uint64_t>(root.Integer("seed", 0, std::numeric_limits<std::int64_t>::max()));
  std::vector<Outcome> outcomes;
  root.ForEach("rows", [&](const JsonReader& row) { outcomes.push_back(ReadOutcome(row)); });
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return std::pair(std::move(job), std::move(outcomes));
}

Expected<Results> Results::Open(const std::filesystem::path& path, const Design& design) {
  std::map<Job, std::vector<Outcome>> outcomes;
  const auto take = [&](const std::string& place, std::string_view line) -> Expected<void> {
    auto read = ParseLine(place, line);
    if (!read) return tl::unexpected(read.error());
    outcomes.insert_or_assign(std::move(read->first), std::move(read->second));
    return {};
  };
  auto journal = Journal::Open(path, kSchema, design.Settings(), take);
  if (!journal) return tl::unexpected(journal.error());
  return Results(std::move(*journal), std::move(outcomes));
}

const std::vector<Outcome>* Results::Find(const Job& job) const {
  const auto found = outcomes_.find(job);
  return found == outcomes_.end() ? nullptr : &found->second;
}

Expected<void> Results::Add(const Job& job, std::vector<Outcome> outcomes) {
  if (auto appended = journal_.Append({WriteLine(job, outcomes)}); !appended) return appended;
  outcomes_.insert_or_assign(job, std::move(outcomes));
  return {};
}

}  // namespace dashf::sweep
