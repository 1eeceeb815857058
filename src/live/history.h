// A fleet's rounds that have ended: what the log knows of each, and what their files under rounds/
// say, read once. Reading takes its time where users and rounds are many (docs/live.md has
// figures), so it is done in pieces.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "fleet/state.h"

namespace dashf::live {

class History {
 public:
  using Json = nlohmann::ordered_json;

  // `parts_max`: of users' parts that are remembered, over all rounds, the latest rounds first.
  explicit History(std::filesystem::path rounds, std::size_t parts_max = 300'000)
      : rounds_(std::move(rounds)), parts_max_(parts_max) {}

  void Add(const fleet::RoundSummary& summary);  // The files are there by then.

  // Reads the files of the latest round that was not read yet; its number, or none if all were.
  std::optional<std::uint32_t> ReadOne();

  // A round's row; null: it is not known.
  Json Row(std::uint32_t round) const;
  // The latest rounds before round `before`, the latest first, and which are next.
  Json Rows(std::uint32_t before, std::size_t rows_max) const;
  // What a round's files say; kBadInput if it is not one that has ended, kIo if they are gone.
  Expected<Json> Round(std::uint32_t round) const;
  // The rounds of a user, the latest first; empty where it had none.
  Json User(const std::string& user) const;

 private:
  struct Part {                          // Of a user that had one.
    std::uint32_t user = 0, server = 0;  // In names_.
    bool done = false;
    std::int16_t local_layers = 0;
    float predicted_s = 0, at_planned_s = 0, loss_before = 0, loss_after = 0;  // NaN: unknown.
  };
  struct Files {
    std::string method;
    std::optional<double> scr, scr_upper, loss_before, loss_after;
    std::vector<Part> parts;
  };
  struct Entry {
    fleet::RoundSummary summary;
    std::optional<Files> files;  // Once they were read.
  };

  std::filesystem::path FolderOf(std::uint32_t round) const;
  Files Read(std::uint32_t round);
  std::uint32_t NumberOf(const std::string& name);
  void Forget();

  const std::filesystem::path rounds_;
  const std::size_t parts_max_;
  std::map<std::uint32_t, Entry> entries_;
  std::map<std::string, std::uint32_t> numbers_;
  std::vector<std::string> names_;
  std::size_t parts_ = 0;
};

// Of a plan's file, what its page says; nothing where it is not there.
struct PlanFacts {
  std::string method;
  std::optional<double> scr, scr_upper;
};
PlanFacts ReadPlanFacts(const std::filesystem::path& path);

}  // namespace dashf::live
