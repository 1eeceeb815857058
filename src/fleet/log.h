// The coordinator's memory: its events in an SQLite file (WAL, synchronous=FULL), in order, with
// snapshots so that a long log is read quickly. One process at a time may hold it. Every event
// carries the checksum of itself and of all before it, so that a log that was edited or damaged is
// named, not believed.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "base/error.h"
#include "fleet/event.h"

namespace dashf::fleet {

struct LoggedEvent {
  Millis at = 0;
  Event event;
};

// What a coordinator needs of a log; the simulation has one on a disk of its own.
class EventLog {
 public:
  virtual ~EventLog() = default;
  // All of these or none; on disk when it returns. kIo: nothing may be built on them.
  virtual Expected<void> Append(std::span<const LoggedEvent> events) = 0;
  // Later readers begin here.
  virtual Expected<void> Snapshot(const State& state) = 0;
  // Whether reading what came since the last one takes longer than reading that.
  virtual bool SnapshotIsDue() const = 0;
};

class SqliteLog final : public EventLog {
 public:
  // Opens or makes it and folds it into `state` (as it was, if it is new). kIo if the disk refuses
  // or another process holds it; kBadInput if it was damaged, or written by a newer version.
  static Expected<std::unique_ptr<SqliteLog>> Open(const std::filesystem::path& path, State* state);
  ~SqliteLog() override;

  // Calls `visit` for every event of it, from the first; a coordinator may be writing it.
  static Expected<void> Read(
      const std::filesystem::path& path,
      const std::function<void(std::int64_t number, const LoggedEvent&)>& visit);

  Expected<void> Append(std::span<const LoggedEvent> events) override;
  Expected<void> Snapshot(const State& state) override;
  bool SnapshotIsDue() const override;
  std::int64_t events() const;  // How many it holds, those before the snapshot included.
  Millis last_at() const;       // When the last of them happened; 0: there is none.

 private:
  struct Database;
  explicit SqliteLog(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace dashf::fleet
