#include "runtime/telemetry.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

namespace dashf::runtime {
namespace {

int OpenForAppending(const std::string& path) {
  return ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

}  // namespace

// Several processes may have it open. Who finds it full renames it under a lock on it, and whoever
// has it open still finds, once the lock is theirs, that its name stands for another file.
struct Telemetry::File {
  const std::string path;
  const TelemetryLimits limits;
  std::mutex mutex;
  int descriptor = -1;  // Guarded by mutex.

  File(std::string where, const TelemetryLimits& most) : path(std::move(where)), limits(most) {}
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void Append(const std::string& line) {
    const std::lock_guard lock(mutex);
    struct stat own {};
    if (::fstat(descriptor, &own) == 0 &&
        static_cast<std::uint64_t>(own.st_size) >= limits.bytes_max) {
      Rotate(own);
    }
    [[maybe_unused]] const ssize_t written = ::write(descriptor, line.data(), line.size());
  }

  std::string NameOf(int age) const { return age == 0 ? path : fmt::format("{}.{}", path, age); }

  // What cannot be renamed or opened is written on.
  void Rotate(const struct stat& own) {
    if (::flock(descriptor, LOCK_EX) != 0) return;
    struct stat named {};
    const bool still_named = ::stat(path.c_str(), &named) == 0 && named.st_ino == own.st_ino &&
                             named.st_dev == own.st_dev;
    bool moved = true;
    if (still_named && limits.files_max == 1) moved = ::unlink(path.c_str()) == 0;
    for (int age = limits.files_max - 1; still_named && age > 0; --age) {
      moved = std::rename(NameOf(age - 1).c_str(), NameOf(age).c_str()) == 0;
    }
    const int next = moved ? OpenForAppending(path) : -1;
    ::flock(descriptor, LOCK_UN);
    if (next < 0) return;
    ::close(descriptor);
    descriptor = next;
  }
};

Telemetry::Telemetry(std::unique_ptr<File> file, std::string node, Log log)
    : file_(std::move(file)), node_(std::move(node)), log_(std::move(log)) {}
Telemetry::Telemetry(Telemetry&& other) noexcept = default;
Telemetry::~Telemetry() = default;

Expected<Telemetry> Telemetry::Open(const std::string& path,
                                    const NodeId& node,
                                    const TelemetryLimits& limits,
                                    Log log) {
  if (path.empty()) return Telemetry(nullptr, Name(node), std::move(log));
  auto file = std::make_unique<File>(path, limits);
  file->descriptor = OpenForAppending(path);
  if (file->descriptor < 0) return Fail(ErrorKind::kIo, path, std::strerror(errno));
  return Telemetry(std::move(file), Name(node), std::move(log));
}

void Telemetry::Write(std::string_view event, nlohmann::ordered_json fields) const {
  log_.Write(LogLevel::kDebug, "telemetry", std::string(event), fields);
  if (file_ == nullptr && recent_ == nullptr) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  nlohmann::ordered_json line = {{"time_s", std::chrono::duration<double>(now).count()},
                                 {"node", node_},
                                 {"pid", ::getpid()},
                                 {"event", event}};
  line.update(fields);
  std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (file_ != nullptr) file_->Append(text + "\n");
  if (recent_ != nullptr) recent_->Add(std::move(text));
}

std::shared_ptr<RecentLines> Telemetry::KeepRecent() {
  recent_ = std::make_shared<RecentLines>();
  if (file_ == nullptr) return recent_;
  struct stat own {};
  if (::fstat(file_->descriptor, &own) != 0) return recent_;
  const auto bytes = std::min<off_t>(own.st_size, RecentLines::kBytesMax / 2);
  std::string tail(static_cast<std::size_t>(bytes), '\0');
  const ssize_t got = ::pread(file_->descriptor, tail.data(), tail.size(), own.st_size - bytes);
  tail.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  // Whole lines.
  std::size_t at = bytes < own.st_size ? tail.find('\n') : 0;
  if (at != 0 && at != std::string::npos) ++at;
  for (std::size_t end; at < tail.size() && (end = tail.find('\n', at)) != std::string::npos;
       at = end + 1) {
    recent_->Add(tail.substr(at, end - at));
  }
  return recent_;
}

}  // namespace dashf::runtime
