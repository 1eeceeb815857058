#include "study/round_losses.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

#include "base/digest.h"
#include "base/json.h"
#include "base/termination.h"
#include "study/summary.h"
#include "study/workers.h"

namespace dashf::study {
namespace {

constexpr char kSchema[] = "dashf.losses/1";

Expected<std::vector<double>> MeanLosses(const train::Model& model,
                                         const LossJob& job,
                                         const std::vector<UserData>& users,
                                         const RoundsOfTurns& rounds,
                                         const std::vector<int>& after) {
  std::vector<double> mean(after.size(), 0.0);
  for (std::size_t n = 0; n < users.size(); ++n) {
    const auto losses = LossesOver(model, users[n], job.turns[n], rounds, after, job.seed);
    if (!losses) {
      Error error = losses.error();
      error.where = fmt::format("u{}: {}", n, error.where);
      return tl::unexpected(std::move(error));
    }
    for (std::size_t i = 0; i < mean.size(); ++i) {
      mean[i] += (*losses)[i] / static_cast<double>(users.size());
    }
  }
  return mean;
}

}  // namespace

std::string DigestOf(const LossJob& job, const std::vector<UserData>& users) {
  Sha256 digest;
  for (std::size_t n = 0; n < users.size(); ++n) {
    digest.Add(users[n].sha256);
    for (const std::optional<Turn>& turn : job.turns[n]) {
      digest.Add(turn ? fmt::format("{} {},", turn->k, turn->data_part) : "-,");
    }
  }
  return digest.Hex();
}

std::string WriteLine(const LossOutcome& outcome) {
  return nlohmann::ordered_json{{"seed", outcome.seed},
                                {"policy", outcome.policy},
                                {"sha256", outcome.sha256},
                                {"losses", outcome.losses}}
      .dump();
}

Expected<LossOutcome> ParseLossOutcome(const std::string& place, std::string_view line) {
  const auto document = JsonDocument::Parse(place, line);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  LossOutcome outcome{.seed = static_cast<std::uint64_t>(
                          root.Integer("seed", 0, std::numeric_limits<std::int64_t>::max())),
                      .policy = root.String("policy"),
                      .sha256 = root.String("sha256"),
                      .losses = root.Numbers("losses", kNonNegative)};
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return outcome;
}

Expected<LossResults> LossResults::Open(const std::filesystem::path& path,
                                        nlohmann::ordered_json settings,
                                        const std::vector<int>& after) {
  settings["after"] = after;
  std::map<Key, LossOutcome> outcomes;
  const auto take = [&](const std::string& place, std::string_view line) -> Expected<void> {
    auto outcome = ParseLossOutcome(place, line);
    if (!outcome) return tl::unexpected(outcome.error());
    if (outcome->losses.size() != after.size()) {
      return Fail(ErrorKind::kBadInput,
                  place + ": losses",
                  fmt::format("must be {}, are {}", after.size(), outcome->losses.size()));
    }
    Key key(outcome->seed, outcome->policy);
    outcomes.insert_or_assign(std::move(key), std::move(*outcome));
    return {};
  };
  auto journal = Journal::Open(path, kSchema, settings, take);
  if (!journal && journal.error().kind == ErrorKind::kUsage) {
    return Fail(ErrorKind::kUsage, "FOLDER", journal.error().message);  // It is no option here.
  }
  if (!journal) return tl::unexpected(journal.error());
  return LossResults(std::move(*journal), std::move(outcomes));
}

Expected<const LossOutcome*> LossResults::Find(const LossJob& job,
                                               const std::string& sha256) const {
  const auto found = outcomes_.find({job.seed, job.policy});
  if (found == outcomes_.end()) return nullptr;
  if (found->second.sha256 == sha256) return &found->second;
  return Fail(ErrorKind::kBadInput,
              path().string(),
              fmt::format("has losses of seed {}, {} for other plans or data: remove it to have "
                          "them anew",
                          job.seed,
                          job.policy));
}

Expected<void> LossResults::Append(LossOutcome outcome) {
  if (auto written = journal_.Append({WriteLine(outcome)}); !written) return written;
  Key key(outcome.seed, outcome.policy);
  outcomes_.insert_or_assign(std::move(key), std::move(outcome));
  return {};
}

Expected<Tally> CarryOutLosses(const train::Model& model,
                               const std::vector<LossJob>& jobs,
                               const std::map<std::uint64_t, std::vector<UserData>>& users,
                               const RoundsOfTurns& rounds,
                               const std::vector<int>& after,
                               const StudyRun& run,
                               LossResults* results) {
  const Stopwatch watch;
  Tally tally{.jobs = static_cast<int>(jobs.size())};
  std::vector<std::pair<const LossJob*, std::string>> due;
  for (const LossJob& job : jobs) {
    std::string sha256 = DigestOf(job, users.at(job.seed));
    const auto there = results->Find(job, sha256);
    if (!there) return tl::unexpected(there.error());
    if (*there == nullptr) due.emplace_back(&job, std::move(sha256));
  }
  tally.done = tally.jobs - static_cast<int>(due.size());
  const auto body = [&](std::size_t i) -> Expected<std::string> {
    const LossJob& job = *due[i].first;
    auto losses = MeanLosses(model, job, users.at(job.seed), rounds, after);
    if (!losses) return tl::unexpected(losses.error());
    return WriteLine({job.seed, job.policy, due[i].second, std::move(*losses)});
  };
  Expected<void> kept;
  const auto on_end = [&](std::size_t i, const Expected<std::string>& line) {
    const LossJob& job = *due[i].first;
    auto outcome = line ? ParseLossOutcome("job", *line) : tl::unexpected(line.error());
    const std::string said = outcome ? fmt::format("held-out loss {:.4f}", outcome->losses.back())
                                     : "FAILED: " + outcome.error().Text();
    ++(outcome ? tally.done : tally.failed);
    if (outcome) kept = results->Append(std::move(*outcome));
    run.progress(fmt::format("{}/{} after {:.0f} s, seed {}, {}: {}",
                             tally.done + tally.failed,
                             tally.jobs,
                             watch.ElapsedS(),
                             job.seed,
                             job.policy,
                             said));
  };
  const auto stopped = [&] { return !kept || run.stopped(); };
  if (auto ran = RunInChildren(due.size(), run.processes, body, on_end, stopped); !ran) {
    return tl::unexpected(ran.error());
  }
  if (!kept) return tl::unexpected(kept.error());
  return tally;
}

Expected<std::vector<LossRow>> SummariseLosses(
    const std::vector<LossJob>& jobs,
    const std::map<std::uint64_t, std::vector<UserData>>& users,
    const std::vector<std::string>& policies,
    const LossResults& results) {
  std::map<std::pair<std::string, std::uint64_t>, const LossOutcome*> outcomes;
  for (const LossJob& job : jobs) {
    const auto found = results.Find(job, DigestOf(job, users.at(job.seed)));
    if (!found) return tl::unexpected(found.error());
    if (*found != nullptr) outcomes[{job.policy, job.seed}] = *found;
  }
  std::vector<LossRow> rows;
  for (const std::string& policy : policies) {
    std::vector<std::vector<double>> losses, more;  // Per round asked for and seed.
    for (const auto& [key, outcome] : outcomes) {
      if (key.first != policy) continue;
      losses.resize(outcome->losses.size());
      more.resize(outcome->losses.size());
      const auto first = outcomes.find({policies.front(), key.second});
      for (std::size_t i = 0; i < losses.size(); ++i) {
        losses[i].push_back(outcome->losses[i]);
        if (first == outcomes.end()) continue;
        more[i].push_back(outcome->losses[i] - first->second->losses[i]);
      }
    }
    if (losses.empty()) continue;
    LossRow& row = rows.emplace_back();
    row.policy = policy;
    for (const auto& values : losses) row.loss.push_back(MeanInterval(values, kConfidence));
    for (const auto& values : more) {
      row.more.push_back(values.empty() ? ConfidenceInterval() : MeanInterval(values, kConfidence));
    }
  }
  return rows;
}

}  // namespace dashf::study
