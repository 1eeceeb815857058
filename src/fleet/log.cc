#include "fleet/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <utility>

#include "base/digest.h"
#include "fleet/codec.h"
#include "fleet/step.h"

namespace dashf::fleet {
namespace {

constexpr int kFormat = 6;
constexpr char kSchema[] = R"(
  CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    checksum INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS snapshots (
    number INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, body TEXT NOT NULL,
    own_checksum INTEGER NOT NULL);
)";

std::uint32_t Chain(std::uint32_t before, Millis at, std::string_view kind, std::string_view body) {
  return Crc32c(fmt::format("{} {} {} {}", before, at, kind, body));
}

// A prepared statement; bound anew for each use.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) {
    if (sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr) != SQLITE_OK) {
      statement_ = nullptr;
    }
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void Bind(int at, std::int64_t value) { sqlite3_bind_int64(statement_, at, value); }
  void Bind(int at, std::string_view text) {
    sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
  int Step() { return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_); }
  void Reset() { sqlite3_reset(statement_); }
  std::int64_t Integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string Text(int column) const {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return text == nullptr
               ? ""
               : std::string(text,
                             static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

struct Row {
  std::int64_t number = 0;
  Millis at = 0;
  std::string kind, body;
  std::uint32_t checksum = 0;
};

Row RowOf(const Statement& statement) {
  return {statement.Integer(0),
          statement.Integer(1),
          statement.Text(2),
          statement.Text(3),
          static_cast<std::uint32_t>(statement.Integer(4))};
}

Expected<LoggedEvent> Decode(const std::string& path, const Row& row) {
  const std::string where = fmt::format("{}: event {}", path, row.number);
  const auto body = nlohmann::json::parse(row.body, nullptr, false);
  if (body.is_discarded()) return Fail(ErrorKind::kBadInput, where, "is no JSON");
  auto event = EventFromJson(row.kind, body);
  if (!event) return Fail(event.error().kind, where, event.error().Text());
  return LoggedEvent{row.at, std::move(*event)};
}

}  // namespace

struct SqliteLog::Database {
  std::string path;
  int lock = -1;
  sqlite3* handle = nullptr;
  std::int64_t number = 0;  // Of the last event.
  std::uint32_t checksum = 0;
  Millis last_at = 0;
  std::size_t snapshot_bytes = 0, bytes_since = 0;

  ~Database() {
    if (handle != nullptr) sqlite3_close(handle);
    if (lock >= 0) ::close(lock);
  }

  tl::unexpected<Error> Refused(const std::string& what) const {
    return Fail(ErrorKind::kIo, path, what + ": " + sqlite3_errmsg(handle));
  }
  Expected<void> Run(const char* sql) const {
    if (sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
      const int code = sqlite3_errcode(handle);
      if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        return Fail(ErrorKind::kBadInput, path, "is damaged, or no log of dashf's");
      }
      return Refused("the log cannot be used");
    }
    return {};
  }

  Expected<void> Lock();
  Expected<void> OpenFile(int flags);
  Expected<void> CheckFormat() const;
  // Of the events that a snapshot stands for: they are all there, as they were written.
  Expected<void> CheckBefore(std::int64_t last, std::uint32_t wanted) const;
  // From the last snapshot, or the beginning.
  Expected<void> Fold(State* state);
  Expected<void> ReadSnapshot(State* state);
  Expected<void> ReadEvents(const std::function<void(std::int64_t, const LoggedEvent&)>& visit);
};

// Its holder's process number is in the lock's file, for whoever comes second.
Expected<void> SqliteLog::Database::Lock() {
  const std::string file = path + ".lock";
  lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return Fail(ErrorKind::kIo, file, "cannot be made");
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    [[maybe_unused]] const ssize_t got = ::read(lock, holder, sizeof holder - 1);
    return Fail(ErrorKind::kIo,
                path,
                fmt::format("another coordinator holds this log (process {})", holder));
  }
  const std::string self = fmt::to_string(::getpid());
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, self.data(), self.size(), 0) < 0) {
    return Fail(ErrorKind::kIo, file, "cannot be written");
  }
  return {};
}

Expected<void> SqliteLog::Database::OpenFile(int flags) {
  if (sqlite3_open_v2(path.c_str(), &handle, flags, nullptr) != SQLITE_OK) {
    return Refused("cannot be opened");
  }
  sqlite3_busy_timeout(handle, 5'000);
  return {};
}

Expected<void> SqliteLog::Database::CheckFormat() const {
  Statement format(handle, "SELECT value FROM about WHERE key = 'format'");
  if (format.Step() != SQLITE_ROW) {
    return Fail(ErrorKind::kBadInput, path, "is no log of dashf's: it does not state its format");
  }
  if (format.Integer(0) == kFormat) return {};
  return Fail(
      ErrorKind::kBadInput,
      path,
      fmt::format(
          "is a log of format {}; this version of dashf reads format {}", format.Text(0), kFormat));
}

Expected<void> SqliteLog::Database::ReadSnapshot(State* state) {
  Statement last(
      handle,
      "SELECT number, checksum, body, own_checksum FROM snapshots ORDER BY number DESC LIMIT 1");
  const int got = last.Step();
  if (got == SQLITE_DONE) return {};
  if (got != SQLITE_ROW) return Refused("the log cannot be read");
  const std::string body = last.Text(2);
  const std::string where = fmt::format("{}: snapshot at event {}", path, last.Integer(0));
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (Crc32c(body) != static_cast<std::uint32_t>(last.Integer(3)) || json.is_discarded()) {
    return Fail(ErrorKind::kBadInput, where, "is damaged");
  }
  auto read = StateFromJson(json);
  if (!read) return Fail(ErrorKind::kBadInput, where, read.error().Text());
  *state = std::move(*read);
  snapshot_bytes = body.size();
  number = last.Integer(0);
  checksum = static_cast<std::uint32_t>(last.Integer(1));
  return {};
}

Expected<void> SqliteLog::Database::CheckBefore(std::int64_t last, std::uint32_t wanted) const {
  Statement rows(
      handle,
      "SELECT number, at_ms, kind, body, checksum FROM events WHERE number <= ? ORDER BY "
      "number");
  rows.Bind(1, last);
  std::int64_t checked = 0;
  std::uint32_t chained = 0;
  const auto named = [this](std::int64_t event) {
    return Fail(ErrorKind::kBadInput,
                fmt::format("{}: event {}", path, event),
                "is missing, damaged or was edited");
  };
  while (rows.Step() == SQLITE_ROW) {
    const Row row = RowOf(rows);
    chained = Chain(chained, row.at, row.kind, row.body);
    if (row.number != ++checked || row.checksum != chained) return named(checked);
  }
  if (checked != last) return named(checked + 1);
  if (chained != wanted) return named(last);
  return {};
}

Expected<void> SqliteLog::Database::ReadEvents(
    const std::function<void(std::int64_t, const LoggedEvent&)>& visit) {
  Statement rows(
      handle,
      "SELECT number, at_ms, kind, body, checksum FROM events WHERE number > ? ORDER BY number");
  rows.Bind(1, number);
  int got = 0;
  while ((got = rows.Step()) == SQLITE_ROW) {
    const Row row = RowOf(rows);
    const std::uint32_t expected = Chain(checksum, row.at, row.kind, row.body);
    if (row.number != number + 1 || row.checksum != expected) {
      return Fail(ErrorKind::kBadInput,
                  fmt::format("{}: event {}", path, number + 1),
                  "is missing, damaged or was edited");
    }
    const auto event = Decode(path, row);
    if (!event) return tl::unexpected(event.error());
    visit(row.number, *event);
    bytes_since += row.body.size();
    number = row.number;
    checksum = row.checksum;
    last_at = row.at;
  }
  if (got == SQLITE_DONE) return {};
  if (sqlite3_errcode(handle) == SQLITE_CORRUPT) {
    return Fail(ErrorKind::kBadInput, path, "is damaged");
  }
  return Refused("the log cannot be read");
}

Expected<void> SqliteLog::Database::Fold(State* state) {
  if (auto read = ReadSnapshot(state); !read) return read;
  if (auto intact = CheckBefore(number, checksum); !intact) return intact;
  Statement last(handle, "SELECT at_ms FROM events WHERE number = ?");
  last.Bind(1, number);
  if (number > 0 && last.Step() == SQLITE_ROW) last_at = last.Integer(0);
  return ReadEvents(
      [state](std::int64_t, const LoggedEvent& logged) { Step(*state, logged.at, logged.event); });
}

SqliteLog::SqliteLog(std::unique_ptr<Database> database) : database_(std::move(database)) {}
SqliteLog::~SqliteLog() = default;

Expected<std::unique_ptr<SqliteLog>> SqliteLog::Open(const std::filesystem::path& path,
                                                     State* state) {
  auto database = std::make_unique<Database>();
  database->path = path.string();
  if (auto locked = database->Lock(); !locked) return tl::unexpected(locked.error());
  std::error_code unknown;  // SQLite says what is wrong with a file that has no size.
  const bool is_new =
      !std::filesystem::exists(path, unknown) || std::filesystem::file_size(path, unknown) == 0;
  auto done = database->OpenFile(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (done) done = database->Run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  if (done && is_new) {
    done = database->Run(kSchema);
    const std::string format =
        fmt::format("INSERT OR IGNORE INTO about VALUES ('format', '{}')", kFormat);
    if (done) done = database->Run(format.c_str());
  }
  if (done) done = database->CheckFormat();
  if (done) done = database->Fold(state);
  if (!done) return tl::unexpected(done.error());
  return std::unique_ptr<SqliteLog>(new SqliteLog(std::move(database)));
}

Expected<void> SqliteLog::Append(std::span<const LoggedEvent> events) {
  Database& db = *database_;
  if (auto begun = db.Run("BEGIN IMMEDIATE"); !begun) return begun;
  std::int64_t number = db.number;
  std::uint32_t checksum = db.checksum;
  std::size_t bytes = 0;
  Statement insert(db.handle, "INSERT INTO events VALUES (?, ?, ?, ?, ?)");
  for (const LoggedEvent& logged : events) {
    const std::string body =
        ToJson(logged.event).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    checksum = Chain(checksum, logged.at, KindOf(logged.event), body);
    insert.Bind(1, ++number);
    insert.Bind(2, logged.at);
    insert.Bind(3, KindOf(logged.event));
    insert.Bind(4, body);
    insert.Bind(5, static_cast<std::int64_t>(checksum));
    if (insert.Step() != SQLITE_DONE) {
      const auto refused = db.Refused("an event cannot be written");
      insert.Reset();
      sqlite3_exec(db.handle, "ROLLBACK", nullptr, nullptr, nullptr);
      return refused;
    }
    insert.Reset();
    bytes += body.size();
  }
  if (auto committed = db.Run("COMMIT"); !committed) {
    sqlite3_exec(db.handle, "ROLLBACK", nullptr, nullptr, nullptr);
    return committed;
  }
  db.number = number;
  db.checksum = checksum;
  db.bytes_since += bytes;
  if (!events.empty()) db.last_at = events.back().at;
  return {};
}

Expected<void> SqliteLog::Snapshot(const State& state) {
  Database& db = *database_;
  const std::string body =
      ToJson(state).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  Statement insert(db.handle, "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)");
  insert.Bind(1, db.number);
  insert.Bind(2, static_cast<std::int64_t>(db.checksum));
  insert.Bind(3, body);
  insert.Bind(4, static_cast<std::int64_t>(Crc32c(body)));
  if (insert.Step() != SQLITE_DONE) return db.Refused("a snapshot cannot be written");
  db.snapshot_bytes = body.size();
  db.bytes_since = 0;
  Statement old(db.handle, "DELETE FROM snapshots WHERE number < ?");
  old.Bind(1, db.number);
  if (old.Step() != SQLITE_DONE) return db.Refused("an old snapshot cannot be removed");
  return {};
}

bool SqliteLog::SnapshotIsDue() const {
  return database_->bytes_since > database_->snapshot_bytes;
}

std::int64_t SqliteLog::events() const {
  return database_->number;
}
Millis SqliteLog::last_at() const {
  return database_->last_at;
}

Expected<void> SqliteLog::Read(const std::filesystem::path& path,
                               const std::function<void(std::int64_t, const LoggedEvent&)>& visit) {
  Database database;
  database.path = path.string();
  auto done = database.OpenFile(SQLITE_OPEN_READWRITE);  // WAL's readers share memory by a file.
  if (done) done = database.CheckFormat();
  if (done) done = database.ReadEvents(visit);
  return done;
}

}  // namespace dashf::fleet
