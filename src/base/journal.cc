#include "base/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/json.h"

namespace dashf {
namespace {

using Json = nlohmann::ordered_json;

Expected<Json> ReadSettings(const std::string& place,
                            std::string_view line,
                            const std::string& expected_schema) {
  const auto document = JsonDocument::Parse(place, line);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  if (const std::string schema = root.String("schema"); schema != expected_schema) {
    root.Reject("schema", fmt::format("must be {}", expected_schema));
  }
  Json settings = root.Object("settings").RawInOrder();
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return settings;
}

Expected<void> CheckSettings(const std::string& place, const Json& there, const Json& settings) {
  const Json wanted = Json::parse(settings.dump());
  for (const auto& [key, value] : wanted.items()) {
    const Json kept = there.is_object() && there.contains(key) ? there[key] : Json();
    if (kept == value) continue;
    return Fail(ErrorKind::kUsage,
                "--out",
                fmt::format("{} has results for {} = {}, not {}: choose another folder",
                            place,
                            key,
                            kept.dump(),
                            value.dump()));
  }
  return {};
}

// The lines that are there as a whole: the first says `settings`, the others go to `take`. Where
// they end, too.
Expected<std::size_t> TakeLines(const std::filesystem::path& path,
                                const Journal::TakeLine& first,
                                const Journal::TakeLine& take) {
  const auto text = ReadFile(path);
  if (!text) return tl::unexpected(text.error());
  std::size_t number = 0, begin = 0;
  for (std::size_t end; (end = text->find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line = std::string_view(*text).substr(begin, end - begin);
    const auto taken = ++number == 1 ? first(path.string(), line)
                                     : take(fmt::format("{}:{}", path.string(), number), line);
    if (!taken) return tl::unexpected(taken.error());
  }
  if (number == 0) return Fail(ErrorKind::kBadInput, path.string(), "has no line of settings");
  return begin;
}

// One write, so that lines do not mix, and down to the disk, so that what is counted as done is.
Expected<void> AppendText(const std::filesystem::path& path, std::string_view text) {
  const auto failed = [&path] { return Fail(ErrorKind::kIo, path.string(), std::strerror(errno)); };
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return failed();
  errno = ENOSPC;  // What a write that takes a part of it means.
  const ssize_t written = ::write(file, text.data(), text.size());
  const bool whole = written == std::ssize(text) && ::fsync(file) == 0;
  if (!whole) {
    const auto error = failed();
    ::close(file);
    return error;
  }
  ::close(file);
  return {};
}

}  // namespace

Expected<Journal> Journal::Open(const std::filesystem::path& path,
                                const std::string& schema,
                                const Json& settings,
                                const TakeLine& take) {
  Journal journal;
  journal.path_ = path;
  if (auto locked = journal.Lock(); !locked) return tl::unexpected(locked.error());
  std::error_code unknown;
  if (std::filesystem::file_size(path, unknown) == 0) {  // Whoever has the lock begins it.
    const Json header = {{"schema", schema}, {"settings", settings}};
    if (auto begun = AppendText(path, header.dump() + "\n"); !begun) {
      std::filesystem::resize_file(path, 0, unknown);
      return tl::unexpected(begun.error());
    }
  }
  const auto check = [&](const std::string& place, std::string_view line) -> Expected<void> {
    const auto there = ReadSettings(place, line, schema);
    if (!there) return tl::unexpected(there.error());
    return CheckSettings(place, *there, settings);
  };
  const auto end = TakeLines(path, check, take);
  if (!end) return tl::unexpected(end.error());
  std::error_code failed;
  if (*end < std::filesystem::file_size(path, failed)) {
    std::filesystem::resize_file(path, *end, failed);
  }
  if (failed) return Fail(ErrorKind::kIo, path.string(), failed.message());
  return journal;
}

Expected<Json> Journal::Read(const std::filesystem::path& path,
                             const std::string& schema,
                             const TakeLine& take) {
  Json settings;
  const auto keep = [&](const std::string& place, std::string_view line) -> Expected<void> {
    auto there = ReadSettings(place, line, schema);
    if (!there) return tl::unexpected(there.error());
    settings = std::move(*there);
    return {};
  };
  if (const auto end = TakeLines(path, keep, take); !end) return tl::unexpected(end.error());
  return settings;
}

Expected<void> Journal::Lock() {
  std::error_code failed;
  if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path(), failed);
  if (failed) return Fail(ErrorKind::kIo, path_.parent_path().string(), failed.message());
  const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return Fail(ErrorKind::kIo, path_.string(), std::strerror(errno));
  lock_ = std::shared_ptr<const int>(new int(file), [](const int* descriptor) {
    ::close(*descriptor);
    delete descriptor;
  });
  if (::flock(file, LOCK_EX | LOCK_NB) == 0) return {};
  return Fail(ErrorKind::kIo, path_.string(), "is in use by another process");
}

Expected<void> Journal::Append(const std::vector<std::string>& lines) const {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return AppendText(path_, text);
}

}  // namespace dashf
