// The study of what policies of planning do to held-out loss over rounds: for each world and policy
// every user's turns are trained, and the users' mean loss is kept in losses.jsonl, so that a study
// that was stopped goes on where it stopped.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/confidence_interval.h"
#include "base/error.h"
#include "base/journal.h"
#include "study/jobs.h"
#include "study/turns.h"

namespace dashf::study {

struct LossJob {
  std::uint64_t seed = 0;  // Of the world, and of the users' adapters and data.
  std::string policy;
  std::vector<std::vector<std::optional<Turn>>> turns;  // Per user and round.
};
// Of the turns and of the data that they train on.
std::string DigestOf(const LossJob& job, const std::vector<UserData>& users);

struct LossOutcome {
  std::uint64_t seed = 0;
  std::string policy;
  std::string sha256;          // DigestOf() its job.
  std::vector<double> losses;  // Mean over the users, held out, after each of the rounds asked for.
  bool operator==(const LossOutcome&) const = default;
};
std::string WriteLine(const LossOutcome& outcome);
// Strict; `place` is named in errors.
Expected<LossOutcome> ParseLossOutcome(const std::string& place, std::string_view line);

class LossResults {
 public:
  // As Journal::Open; each line must have as many losses as `after` has rounds, of which the
  // settings tell.
  static Expected<LossResults> Open(const std::filesystem::path& path,
                                    nlohmann::ordered_json settings,
                                    const std::vector<int>& after);
  // Null where there is none. kBadInput if it is there of other turns or data.
  Expected<const LossOutcome*> Find(const LossJob& job, const std::string& sha256) const;
  Expected<void> Append(LossOutcome outcome);
  const std::filesystem::path& path() const { return journal_.path(); }

 private:
  using Key = std::pair<std::uint64_t, std::string>;
  LossResults(Journal journal, std::map<Key, LossOutcome> outcomes)
      : journal_(std::move(journal)), outcomes_(std::move(outcomes)) {}

  Journal journal_;
  std::map<Key, LossOutcome> outcomes_;
};

// Carries out what `results` lack; `users` are those of each job's seed. Otherwise as
// CarryOutAll().
Expected<Tally> CarryOutLosses(const train::Model& model,
                               const std::vector<LossJob>& jobs,
                               const std::map<std::uint64_t, std::vector<UserData>>& users,
                               const RoundsOfTurns& rounds,
                               const std::vector<int>& after,
                               const StudyRun& run,
                               LossResults* results);

// A policy over the seeds that were carried out.
struct LossRow {
  std::string policy;
  // After each of the rounds asked for; `more` than the first policy in the same world, no values
  // where no seed has both.
  std::vector<ConfidenceInterval> loss, more;
};
// In the order of `policies`, without those that have no outcome.
Expected<std::vector<LossRow>> SummariseLosses(
    const std::vector<LossJob>& jobs,
    const std::map<std::uint64_t, std::vector<UserData>>& users,
    const std::vector<std::string>& policies,
    const LossResults& results);

}  // namespace dashf::study
