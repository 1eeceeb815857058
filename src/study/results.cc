#include "study/results.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "base/json.h"

namespace dashf::study {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kSchema[] = "dashf.study/1";

Json ToJson(const SiteCost& cost) {
  return {{"flop", cost.flop}, {"cpu_s", cost.cpu_s}, {"memory_bytes", cost.memory_bytes}};
}

SiteCost ReadCost(JsonReader reader) {
  SiteCost cost{.flop = reader.Number("flop", kNonNegative),
                .cpu_s = reader.Number("cpu_s", kNonNegative),
                .memory_bytes = reader.Number("memory_bytes", kNonNegative)};
  reader.RejectUnknownKeys();
  return cost;
}

}  // namespace

Json ToJson(const Outcome& outcome) {
  return {{"seed", outcome.seed},
          {"user", outcome.user},
          {"training", outcome.training},
          {"loss", outcome.loss},
          {"exact_match", outcome.exact_match},
          {"at_user", ToJson(outcome.at_user)},
          {"at_server", ToJson(outcome.at_server)},
          {"up_bytes", outcome.up_bytes},
          {"down_bytes", outcome.down_bytes},
          {"data_sha256", outcome.data_sha256}};
}

Expected<Outcome> ParseOutcome(const std::string& place, std::string_view line) {
  const auto document = JsonDocument::Parse(place, line);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  Outcome outcome;
  outcome.seed = static_cast<std::uint64_t>(root.Integer("seed", 0, kMost));
  outcome.user = static_cast<int>(root.Integer("user", 0, std::numeric_limits<int>::max()));
  outcome.training = root.String("training");
  outcome.data_sha256 = root.String("data_sha256");
  outcome.loss = root.Number("loss", kNonNegative);
  outcome.exact_match = root.Number("exact_match", {.low = 0.0, .high = 1.0});
  outcome.at_user = ReadCost(root.Object("at_user"));
  outcome.at_server = ReadCost(root.Object("at_server"));
  outcome.up_bytes = root.Number("up_bytes", kNonNegative);
  outcome.down_bytes = root.Number("down_bytes", kNonNegative);
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return outcome;
}

Expected<Results> Results::Open(const std::filesystem::path& path, const Json& settings) {
  std::map<Key, Outcome> outcomes;
  auto journal =
      Journal::Open(path,
                    kSchema,
                    settings,
                    [&](const std::string& place, std::string_view line) -> Expected<void> {
                      auto outcome = ParseOutcome(place, line);
                      if (!outcome) return tl::unexpected(outcome.error());
                      const Key key(outcome->seed, outcome->user, outcome->training);
                      outcomes.insert_or_assign(key, std::move(*outcome));
                      return {};
                    });
  if (!journal) return tl::unexpected(journal.error());
  return Results(std::move(*journal), std::move(outcomes));
}

Expected<const Outcome*> Results::Find(std::uint64_t seed,
                                       int user,
                                       const std::string& training,
                                       const std::string& data_sha256) const {
  const auto found = outcomes_.find({seed, user, training});
  if (found == outcomes_.end()) return nullptr;
  if (found->second.data_sha256 == data_sha256) return &found->second;
  return Fail(
      ErrorKind::kBadInput,
      journal_.path().string(),
      fmt::format(
          "has results of seed {} for user {} on other data than are there now", seed, user));
}

Expected<void> Results::Append(const std::vector<Outcome>& outcomes) {
  std::vector<std::string> lines;
  for (const Outcome& outcome : outcomes) lines.push_back(ToJson(outcome).dump());
  if (auto appended = journal_.Append(lines); !appended) return appended;
  for (const Outcome& outcome : outcomes) {
    outcomes_.insert_or_assign(Key(outcome.seed, outcome.user, outcome.training), outcome);
  }
  return {};
}

}  // namespace dashf::study
