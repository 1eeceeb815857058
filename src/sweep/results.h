// results.jsonl of a parameter study: one line per scenario, what every method made of it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/journal.h"
#include "sweep/design.h"

namespace dashf::sweep {

// One method on one scenario; the figures are the evaluator's.
struct Outcome {
  std::string method;
  bool solved = false;  // Else there are no figures, and the note says why.
  std::string note;     // How it ended.
  double elapsed_s = 0.0;
  double scr = 0.0, score = 0.0, cost = 0.0, delay_s = 0.0, energy_j = 0.0;
  bool operator==(const Outcome&) const = default;
};

// As one line of JSON, and back; strict, `place` is named in errors.
std::string WriteLine(const Job& job, const std::vector<Outcome>& outcomes);
Expected<std::pair<Job, std::vector<Outcome>>> ParseLine(const std::string& place,
                                                         std::string_view line);

class Results {
 public:
  // As Journal::Open.
  static Expected<Results> Open(const std::filesystem::path& path, const Design& design);
  const std::vector<Outcome>* Find(const Job& job) const;
  // To the disk first.
  Expected<void> Add(const Job& job, std::vector<Outcome> outcomes);

 private:
  Results(Journal journal, std::map<Job, std::vector<Outcome>> outcomes)
      : journal_(std::move(journal)), outcomes_(std::move(outcomes)) {}

  Journal journal_;
  std::map<Job, std::vector<Outcome>> outcomes_;
};

}  // namespace dashf::sweep
