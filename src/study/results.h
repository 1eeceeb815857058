// results.jsonl: what a study has found so far. The first line states the settings, every further
// one the outcome of one training (or averaging) on one user's held-out examples (docs/formats.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/journal.h"

namespace dashf::study {

struct SiteCost {
  double flop = 0.0;
  double cpu_s = 0.0;         // Processor time of its phases.
  double memory_bytes = 0.0;  // Peak of its phases beyond the process with model and data; 0: none.
  bool operator==(const SiteCost&) const = default;
};

struct Outcome {
  std::uint64_t seed = 0;
  int user = 0;
  std::string training = {};  // As study::Text has it, or kPooled, kMeanOfFactors, kMeanOfProducts.
  std::string data_sha256 = {};  // Of the user's examples, both sets.
  double loss = 0.0;             // Held out, nat per answer token.
  double exact_match = 0.0;
  SiteCost at_user = {}, at_server = {};
  double up_bytes = 0.0, down_bytes = 0.0;
  bool operator==(const Outcome&) const = default;
};
inline constexpr char kPooled[] = "all users' data";
inline constexpr char kMeanOfFactors[] = "mean of factors";
inline constexpr char kMeanOfProducts[] = "mean of products";

nlohmann::ordered_json ToJson(const Outcome& outcome);
// Strict; `place` is named in errors.
Expected<Outcome> ParseOutcome(const std::string& place, std::string_view line);

// The file as it grows (base/journal.h).
class Results {
 public:
  // Reads what is there, or begins the file with the settings; as long as one lives, no other
  // process opens it. kIo if one has; kUsage naming the first setting that differs from the file's;
  // kBadInput for a broken line, naming it.
  static Expected<Results> Open(const std::filesystem::path& path,
                                const nlohmann::ordered_json& settings);
  // kBadInput if it is there on other data than the caller has.
  Expected<const Outcome*> Find(std::uint64_t seed,
                                int user,
                                const std::string& training,
                                const std::string& data_sha256) const;
  Expected<void> Append(const std::vector<Outcome>& outcomes);
  std::size_t size() const { return outcomes_.size(); }

 private:
  using Key = std::tuple<std::uint64_t, int, std::string>;
  Results(Journal journal, std::map<Key, Outcome> outcomes)
      : journal_(std::move(journal)), outcomes_(std::move(outcomes)) {}

  Journal journal_;
  std::map<Key, Outcome> outcomes_;
};

}  // namespace dashf::study
