// What happened when, as JSON lines (docs/protocol.md, "Files of a run"): one object per event,
// appended with a single write so that several processes can share a file. A file that is full is
// followed by another one, and the oldest is removed. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/recent_lines.h"

namespace dashf::runtime {

// What happens, for people: a line at a time, from any thread.
using ProgressLine = std::function<void(const std::string&)>;

struct TelemetryLimits {
  std::uint64_t bytes_max = std::uint64_t{64} << 20;  // Of a file, and an event more;
  int files_max = 4;  // telemetry.jsonl, telemetry.jsonl.1 before it, ... .3; 1: only the first.
};

class Telemetry {
 public:
  // An empty path records nothing. `log` has each event, too, where it shows debug events. kIo if
  // the file cannot be opened for appending.
  static Expected<Telemetry> Open(const std::string& path,
                                  const NodeId& node,
                                  const TelemetryLimits& limits = {},
                                  Log log = {});
  Telemetry(Telemetry&& other) noexcept;
  Telemetry& operator=(Telemetry&&) = delete;
  ~Telemetry();

  // Adds time_s (since 1970), node, pid and event to `fields`. A full disk loses events, not
  // rounds.
  void Write(std::string_view event, nlohmann::ordered_json fields) const;

  // From now on the latest events are kept in memory as well, beginning with what the end of the
  // file has. Before Write is called by others.
  std::shared_ptr<RecentLines> KeepRecent();

 private:
  struct File;
  Telemetry(std::unique_ptr<File> file, std::string node, Log log);

  std::unique_ptr<File> file_;
  std::string node_;
  Log log_;
  std::shared_ptr<RecentLines> recent_;
};

}  // namespace dashf::runtime
