#include "runtime/spool_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/descriptor.h"
#include "base/file.h"
#include "base/json.h"
#include "runtime/artefact_file.h"
#include "runtime/node.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;

constexpr char kSchema[] = "dashf.spool/1";
constexpr char kLock[] = "lock";
constexpr char kFleet[] = ".fleet";  // No user can have that id.
constexpr char kJob[] = "job";
constexpr int kLayersMax = 1 << 16;
constexpr std::int64_t kCountMax = 0xFFFFFFFF;

tl::unexpected<Error> IoError(const fs::path& path, std::string_view action) {
  return Fail(ErrorKind::kIo,
              path.string(),
              fmt::format("cannot {}: {}", action, std::generic_category().message(errno)));
}

std::string NameOf(const Attempt& attempt) {
  return fmt::format("{}-{}", attempt.round, attempt.number);
}

// Is it a folder that an attempt could have?
bool NamesAnAttempt(const std::string& name) {
  const auto dash = name.find('-');
  return dash != std::string::npos && dash > 0 && dash + 1 < name.size() &&
         name.find_first_not_of("0123456789-") == std::string::npos &&
         name.find('-', dash + 1) == std::string::npos;
}

std::vector<fs::path> Listed(const fs::path& folder, std::error_code* failed) {
  std::vector<fs::path> paths;
  for (fs::directory_iterator entry(folder, *failed), end; !*failed && entry != end;
       entry.increment(*failed)) {
    // A file system's own, where a disk is mounted here.
    if (entry->path().filename() != "lost+found") paths.push_back(entry->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Nobody's home is taken for a spool.
Expected<void> CheckContents(const fs::path& folder) {
  const auto foreign = [&](const fs::path& path) {
    return Fail(ErrorKind::kBadInput,
                folder.string(),
                fmt::format("is no spool: holds {}", path.lexically_relative(folder).string()));
  };
  std::error_code failed;
  for (const fs::path& user : Listed(folder, &failed)) {
    if (user.filename() == kLock || user.filename() == kFleet) continue;
    if (!CheckId("", user.filename().string()) || !fs::is_directory(user)) return foreign(user);
    for (const fs::path& attempt : Listed(user, &failed)) {
      if (!NamesAnAttempt(attempt.filename().string())) return foreign(attempt);
    }
  }
  if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  return {};
}

Expected<SpooledJob> ReadJob(const fs::path& folder) {
  const std::string path = (folder / kJob).string();
  const auto text = ReadFile(path, 4096);
  if (!text) return tl::unexpected(text.error());
  auto document = JsonDocument::Parse(path, *text);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  if (root.String("schema") != kSchema) root.Reject("schema", fmt::format("must be {}", kSchema));
  SpooledJob job;
  job.attempt = {root.String("user"),
                 static_cast<std::uint32_t>(root.Integer("round", 0, kCountMax)),
                 static_cast<std::uint32_t>(root.Integer("attempt", 0, kCountMax))};
  job.local_layers = static_cast<int>(root.Integer("local_layers", 0, kLayersMax));
  job.layers = static_cast<int>(root.Integer("layers", 1, kLayersMax));
  job.server_clock_hz = root.NumberIfAny("server_clock_hz", kNonNegative).value_or(0.0);
  root.RejectUnknownKeys();
  if (folder.filename() != NameOf(job.attempt) ||
      folder.parent_path().filename() != job.attempt.user) {
    root.Reject("is another attempt's");
  }
  if (document->error()) return tl::unexpected(*document->error());
  return job;
}

Expected<void> MakePrivate(const fs::path& path) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (!failed) fs::permissions(path, fs::perms::owner_all, failed);
  if (failed) return Fail(ErrorKind::kIo, path.string(), failed.message());
  return {};
}

}  // namespace

struct SpoolFolder::Held {
  fs::path path;
  Descriptor lock;
  bool temporary = false;

  Held(fs::path folder, Descriptor locked, bool is_temporary)
      : path(std::move(folder)), lock(std::move(locked)), temporary(is_temporary) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() {
    std::error_code ignored;
    if (temporary) fs::remove_all(path, ignored);
  }
};

Expected<SpoolFolder> SpoolFolder::Open(const fs::path& path) {
  fs::path folder = path;
  if (path.empty()) {
    std::string name = (fs::temp_directory_path() / "dashf-spool-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return IoError(name, "make");
    folder = name;
  } else if (fs::exists(path) && !fs::is_empty(path)) {
    if (auto sound = CheckContents(path); !sound) return tl::unexpected(sound.error());
  }
  if (auto made = MakePrivate(folder); !made) return tl::unexpected(made.error());
  const fs::path lock_path = folder / kLock;
  Descriptor lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.get() < 0) return IoError(lock_path, "open");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Fail(ErrorKind::kUsage,
                folder.string(),
                fmt::format("is in use by process {}", ReadFile(lock_path, 64).value_or("?")));
  }
  if (::ftruncate(lock.get(), 0) != 0 || !WriteAll(lock.get(), std::to_string(::getpid()))) {
    return IoError(lock_path, "write");
  }
  return SpoolFolder(
      std::make_shared<const Held>(std::move(folder), std::move(lock), path.empty()));
}

Expected<void> SpoolFolder::BelongTo(const std::string& fleet) const {
  const auto last = ReadFile((path() / kFleet).string(), 4096);
  if (last && *last == fleet + "\n") return {};
  std::error_code failed;
  for (const fs::path& user : Listed(path(), &failed)) {
    if (user.filename() != kLock) fs::remove_all(user, failed);
  }
  if (failed) return Fail(ErrorKind::kIo, path().string(), failed.message());
  return WriteFileAtomically(path() / kFleet, fleet + "\n");
}

Expected<std::vector<SpooledJob>> SpoolFolder::TakeOver(std::vector<std::string>* damaged) const {
  std::vector<SpooledJob> jobs;
  std::error_code failed;
  for (const fs::path& user : Listed(path(), &failed)) {
    if (user.filename() == kLock || user.filename() == kFleet) continue;
    std::optional<SpooledJob> latest;
    for (const fs::path& folder : Listed(user, &failed)) {
      auto job = ReadJob(folder);
      if (!job) {
        damaged->push_back(job.error().Text());
        fs::remove_all(folder, failed);
      } else if (!latest || job->attempt > latest->attempt) {
        if (latest) Remove(latest->attempt);
        latest = std::move(*job);
      } else {
        Remove(job->attempt);
      }
    }
    if (latest) jobs.push_back(std::move(*latest));
  }
  if (failed) return Fail(ErrorKind::kIo, path().string(), failed.message());
  return jobs;
}

Expected<void> SpoolFolder::Keep(const SpooledJob& job) const {
  if (auto sound = CheckId("user id", job.attempt.user); !sound) return sound;
  const fs::path folder = PathOf(job.attempt, "");
  if (auto made = MakePrivate(folder); !made) return made;
  const nlohmann::ordered_json json = {{"schema", kSchema},
                                       {"user", job.attempt.user},
                                       {"round", job.attempt.round},
                                       {"attempt", job.attempt.number},
                                       {"local_layers", job.local_layers},
                                       {"layers", job.layers},
                                       {"server_clock_hz", job.server_clock_hz}};
  if (auto written = WriteFileAtomically(folder / kJob, json.dump() + "\n"); !written) {
    return written;
  }
  for (const fs::path& changed : {folder, folder.parent_path(), path()}) {
    if (auto synced = SyncFolder(changed); !synced) return synced;
  }
  return {};
}

void SpoolFolder::Remove(const Attempt& attempt) const {
  std::error_code ignored;
  const fs::path folder = PathOf(attempt, "");
  fs::remove_all(folder, ignored);
  fs::remove(folder.parent_path(), ignored);  // If it is the last.
}

fs::path SpoolFolder::PathOf(const Attempt& attempt, std::string_view name) const {
  const fs::path folder = path() / attempt.user / NameOf(attempt);
  return name.empty() ? folder : folder / name;
}

Expected<std::uint64_t> SpoolFolder::FreeBytes() const {
  struct statvfs status {};
  if (::statvfs(path().c_str(), &status) != 0) return IoError(path(), "look at");
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

const fs::path& SpoolFolder::path() const {
  return held_->path;
}

}  // namespace dashf::runtime
