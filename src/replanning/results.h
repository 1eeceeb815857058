// results.jsonl of a study over rounds: one line per seed and policy, with all rounds.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/journal.h"
#include "replanning/policy.h"
#include "replanning/world.h"

namespace dashf::replanning {

struct Design {
  WorldSettings world;
  std::vector<std::uint64_t> seeds;
  std::vector<Policy> policies;  // At least one, of different names.
  Planning planning;

  // kUsage names the flag.
  Expected<void> Validate() const;
};

struct Job {
  std::uint64_t seed = 0;
  std::string policy;
  auto operator<=>(const Job&) const = default;
};

struct JobOutcome {
  std::string failure;  // Empty: there are rounds.
  std::vector<RoundOutcome> rounds;
  bool operator==(const JobOutcome&) const = default;
};

// As one line of JSON, and back; strict, `place` is named in errors.
std::string WriteLine(const Job& job, const JobOutcome& outcome);
Expected<std::pair<Job, JobOutcome>> ParseLine(const std::string& place, std::string_view line);

class Results {
 public:
  // As Journal::Open. Seeds and policies may differ between two runs into one file.
  static Expected<Results> Open(const std::filesystem::path& path, const Design& design);
  const JobOutcome* Find(const Job& job) const;
  // To the disk first.
  Expected<void> Add(const Job& job, JobOutcome outcome);

 private:
  Results(Journal journal, std::map<Job, JobOutcome> outcomes)
      : journal_(std::move(journal)), outcomes_(std::move(outcomes)) {}

  Journal journal_;
  std::map<Job, JobOutcome> outcomes_;
};

// A study's file as it lies there, whatever it was asked.
struct Record {
  int rounds = 0;  // Of each job.
  std::map<Job, JobOutcome> outcomes;
};
// kBadInput naming the line, kIo without the file.
Expected<Record> ReadRecord(const std::filesystem::path& path);

// Carries out what there are no results of yet, `jobs` >= 1 at once. `on_done`, which may be empty,
// hears of every job once it is on the disk: from any thread, never two at once. The error is the
// first of writing results; a policy that fails is a result.
Expected<void> WorkOff(
    const Design& design,
    int jobs,
    const std::function<void(std::size_t done, std::size_t of, const Job& job)>& on_done,
    Results* results);

}  // namespace dashf::replanning
