#include "replanning/results.h"

#include <fmt/format.h>

#include <atomic>
#include <limits>
#include <mutex>
#include <set>

#include "base/json.h"
#include "base/parallel.h"

namespace dashf::replanning {
namespace {

constexpr char kSchema[] = "dashf.rounds/2";
constexpr std::int64_t kCountMax = 1'000'000'000;

nlohmann::ordered_json ToJson(const RoundOutcome& round) {
  nlohmann::ordered_json json = {{"users", round.users},
                                 {"servers", round.servers},
                                 {"users_planned", round.users_planned},
                                 {"handovers", round.handovers},
                                 {"processor_s", round.processor_s}};
  if (round.users_planned == 0) return json;
  json.update(nlohmann::ordered_json{{"scr", round.scr},
                                     {"score", round.score},
                                     {"cost", round.cost},
                                     {"delay_s", round.delay_s},
                                     {"energy_j", round.energy_j}});
  if (round.gap) json["gap"] = *round.gap;
  json["layers"] = round.layers;
  nlohmann::ordered_json turns = nlohmann::ordered_json::array();
  for (const Turn& turn : round.turns) {
    turns.push_back(
        {{"user", turn.user}, {"local_layers", turn.local_layers}, {"data_part", turn.data_part}});
  }
  json["turns"] = std::move(turns);
  return json;
}

RoundOutcome ReadRound(JsonReader reader) {
  const auto count = [&reader](const char* key) {
    return static_cast<int>(reader.Integer(key, 0, kCountMax));
  };
  RoundOutcome round{.users = count("users"),
                     .servers = count("servers"),
                     .users_planned = count("users_planned"),
                     .handovers = count("handovers"),
                     .processor_s = reader.Number("processor_s", kNonNegative),
                     .gap = {}};
  if (round.users_planned > 0) {
    round.scr = reader.Number("scr");
    round.score = reader.Number("score");
    round.cost = reader.Number("cost");
    round.delay_s = reader.Number("delay_s");
    round.energy_j = reader.Number("energy_j");
    if (reader.Has("gap")) round.gap = reader.Number("gap");
    round.layers = static_cast<int>(reader.Integer("layers", 1, kCountMax));
    reader.ForEach("turns", [&round](JsonReader turn) {
      round.turns.push_back({turn.String("user"),
                             static_cast<int>(turn.Integer("local_layers", 0, round.layers)),
                             turn.Number("data_part", kPositive)});
      turn.RejectUnknownKeys();
    });
  }
  reader.RejectUnknownKeys();
  return round;
}

JobOutcome CarryOut(const Design& design, std::uint64_t seed, const Policy& policy) {
  const auto world = World::Make(design.world, seed);
  if (!world) return {world.error().Text(), {}};
  auto rounds = Follow(*world, design.world.rounds, policy, design.planning);
  if (!rounds) return {rounds.error().Text(), {}};
  return {"", std::move(*rounds)};
}

}  // namespace

Expected<void> Design::Validate() const {
  if (auto sound = world.Validate(); !sound) return sound;
  std::set<std::string> names;
  for (const Policy& policy : policies) {
    if (!names.insert(policy.name).second) {
      return Fail(ErrorKind::kUsage, "--policies", policy.name + " is given twice");
    }
    if (policy.kind == Policy::Kind::kStanding &&
        world.study.options.delay == DelayMode::kMakespan) {
      return Fail(
          ErrorKind::kUsage,
          "--policies",
          policy.name + " needs --delay sum: with the makespan no search starts from a plan");
    }
  }
  if (!world.trace) return {};
  // Another seed's users have the same ids; what the trace lacks it lacks for all.
  const auto first = World::Make(world, seeds.front());
  return first ? Expected<void>() : tl::unexpected(first.error());
}

std::string WriteLine(const Job& job, const JobOutcome& outcome) {
  nlohmann::ordered_json json = {{"seed", job.seed}, {"policy", job.policy}};
  if (!outcome.failure.empty()) {
    json["failure"] = outcome.failure;
    return json.dump();
  }
  nlohmann::ordered_json rounds = nlohmann::ordered_json::array();
  for (const RoundOutcome& round : outcome.rounds) rounds.push_back(ToJson(round));
  json["rounds"] = std::move(rounds);
  return json.dump();
}

Expected<std::pair<Job, JobOutcome>> ParseLine(const std::string& place, std::string_view line) {
  const auto document = JsonDocument::Parse(place, line);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  Job job;
  job.seed =
      static_cast<std::uint64_t>(root.Integer("seed", 0, std::numeric_limits<std::int64_t>::max()));
  job.policy = root.String("policy");
  JobOutcome outcome;
  if (root.Has("failure")) {
    outcome.failure = root.String("failure");
  } else {
    root.ForEach("rounds",
                 [&](const JsonReader& round) { outcome.rounds.push_back(ReadRound(round)); });
  }
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return std::pair(std::move(job), std::move(outcome));
}

Expected<Results> Results::Open(const std::filesystem::path& path, const Design& design) {
  std::map<Job, JobOutcome> outcomes;
  const auto take = [&](const std::string& place, std::string_view line) -> Expected<void> {
    auto read = ParseLine(place, line);
    if (!read) return tl::unexpected(read.error());
    const std::size_t rounds = read->second.rounds.size();
    if (read->second.failure.empty() && rounds != static_cast<std::size_t>(design.world.rounds)) {
      return Fail(ErrorKind::kBadInput,
                  place + ": rounds",
                  fmt::format("must be {}, are {}", design.world.rounds, rounds));
    }
    outcomes.insert_or_assign(std::move(read->first), std::move(read->second));
    return {};
  };
  nlohmann::ordered_json settings = design.world.Json();
  settings["gap_target"] = design.planning.gap_target;
  settings["gaps"] = design.planning.gaps;
  auto journal = Journal::Open(path, kSchema, settings, take);
  if (!journal) return tl::unexpected(journal.error());
  return Results(std::move(*journal), std::move(outcomes));
}

Expected<Record> ReadRecord(const std::filesystem::path& path) {
  Record record;
  const auto take = [&record](const std::string& place, std::string_view line) -> Expected<void> {
    auto read = ParseLine(place, line);
    if (!read) return tl::unexpected(read.error());
    const auto rounds = static_cast<int>(read->second.rounds.size());
    if (read->second.failure.empty()) {
      if (record.rounds != 0 && rounds != record.rounds) {
        return Fail(ErrorKind::kBadInput,
                    place + ": rounds",
                    fmt::format("must be {} as before, are {}", record.rounds, rounds));
      }
      record.rounds = rounds;
    }
    record.outcomes.insert_or_assign(std::move(read->first), std::move(read->second));
    return {};
  };
  if (const auto settings = Journal::Read(path, kSchema, take); !settings) {
    return tl::unexpected(settings.error());
  }
  return record;
}

const JobOutcome* Results::Find(const Job& job) const {
  const auto found = outcomes_.find(job);
  return found == outcomes_.end() ? nullptr : &found->second;
}

Expected<void> Results::Add(const Job& job, JobOutcome outcome) {
  if (auto appended = journal_.Append({WriteLine(job, outcome)}); !appended) return appended;
  outcomes_.insert_or_assign(job, std::move(outcome));
  return {};
}

Expected<void> WorkOff(
    const Design& design,
    int jobs,
    const std::function<void(std::size_t done, std::size_t of, const Job& job)>& on_done,
    Results* results) {
  struct Open {
    std::uint64_t seed;
    const Policy* policy;
  };
  std::vector<Open> open;
  for (const std::uint64_t seed : design.seeds) {
    for (const Policy& policy : design.policies) {
      if (results->Find({seed, policy.name}) == nullptr) open.push_back({seed, &policy});
    }
  }
  const std::size_t of = design.seeds.size() * design.policies.size();
  std::size_t done = of - open.size();
  std::mutex entering;
  std::atomic<bool> ended = false;
  Expected<void> error;
  ParallelFor(open.size(), jobs, [&](std::size_t i) {
    if (ended) return;
    const Job job{open[i].seed, open[i].policy->name};
    JobOutcome outcome = CarryOut(design, job.seed, *open[i].policy);
    const std::lock_guard lock(entering);
    if (ended) return;
    error = results->Add(job, std::move(outcome));
    ended = !error;
    if (error && on_done) on_done(++done, of, job);
  });
  return error;
}

}  // namespace dashf::replanning
