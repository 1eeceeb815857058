// Results of long work as they come: a file of JSON lines. The first states what the work is; every
// further line is one result. A line is there as a whole or, after a kill in mid-line, cut off
// again by the next Open.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace dashf {

class Journal {
 public:
  using TakeLine = std::function<Expected<void>(const std::string& place, std::string_view line)>;

  // Hands the result lines that are there to `take`, whose error it returns, or begins the file; as
  // long as a Journal lives, no other process opens its file. kIo if one has; kUsage naming the
  // first setting that differs from the file's; kBadInput if the first line is no such statement.
  // An empty file is one that was never begun.
  static Expected<Journal> Open(const std::filesystem::path& path,
                                const std::string& schema,
                                const nlohmann::ordered_json& settings,
                                const TakeLine& take);
  // What is there, for who adds nothing: the settings. kIo without the file.
  static Expected<nlohmann::ordered_json> Read(const std::filesystem::path& path,
                                               const std::string& schema,
                                               const TakeLine& take);
  // In one write, and down to the disk. Lines have no newline in them.
  Expected<void> Append(const std::vector<std::string>& lines) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  Expected<void> Lock();

  std::filesystem::path path_;
  std::shared_ptr<const int> lock_;  // A descriptor of the file, closed with the last copy.
};

}  // namespace dashf
