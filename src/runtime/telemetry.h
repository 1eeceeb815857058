// What happened when, as JSON lines (docs/protocol.md, "Files of a run"): one object per event,
// appended with a single write so that several processes can share a file. Thread-safe.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "runtime/node.h"

namespace dashf::runtime {

// What happens, for people: a line at a time, from any thread.
using ProgressLine = std::function<void(const std::string&)>;

class Telemetry {
 public:
  // An empty path records nothing. kIo if the file cannot be opened for appending.
  static Expected<Telemetry> Open(const std::string& path, const NodeId& node);
  Telemetry(Telemetry&& other) noexcept;
  Telemetry& operator=(Telemetry&&) = delete;
  ~Telemetry();

  // Adds time_s (since 1970), node, pid and event to `fields`. A full disk loses events, not
  // rounds.
  void Write(std::string_view event, nlohmann::ordered_json fields) const;

 private:
  Telemetry(int file, std::string node) : file_(file), node_(std::move(node)) {}

  int file_;
  std::string node_;
};

}  // namespace dashf::runtime
