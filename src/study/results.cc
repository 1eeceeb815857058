#include "study/results.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "base/file.h"
#include "base/json.h"

namespace dashf::study {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kSchema[] = "dashf.study/1";

Json ToJson(const SiteCost& cost) {
  return {{"flop", cost.flop}, {"cpu_s", cost.cpu_s}, {"memory_bytes", cost.memory_bytes}};
}

SiteCost ReadCost(JsonReader reader) {
  SiteCost cost{.flop = reader.Number("flop", kNonNegative),
                .cpu_s = reader.Number("cpu_s", kNonNegative),
                .memory_bytes = reader.Number("memory_bytes", kNonNegative)};
  reader.RejectUnknownKeys();
  return cost;
}

Expected<void> CheckSettings(const std::string& place,
                             std::string_view line,
                             const Json& settings) {
  const auto document = JsonDocument::Parse(place, line);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  if (const std::string schema = root.String("schema"); schema != kSchema) {
    root.Reject("schema", fmt::format("must be {}", kSchema));
  }
  const nlohmann::json there = root.Object("settings").raw();
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  const nlohmann::json wanted = nlohmann::json::parse(settings.dump());
  for (const auto& [key, value] : wanted.items()) {
    const nlohmann::json kept = there.is_object() && there.contains(key) ? there[key] : nullptr;
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

// One write, so that lines do not mix, and down to the disk, so that what is counted as done is.
Expected<void> AppendText(const std::filesystem::path& path, std::string_view text) {
  const auto failed = [&path] { return Fail(ErrorKind::kIo, path.string(), std::strerror(errno)); };
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return failed();
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

Json ToJson(const Outcome& outcome) {
  return {{"seed", outcome.seed},
          {"user", outcome.user},
          {"training", outcome.training},
          {"loss", outcome.loss},
          {"exact_match", outcome.exact_match},
          {"at_user", ToJson(outcome.at_user)},
          {"at_server", ToJson(outcome.at_server)},
          {"up_bytes", outcome.up_bytes},
          {"down_bytes", outcome.down_bytes},
          {"data_sha256", outcome.data_sha256}};
}

Expected<Outcome> ParseOutcome(const std::string& place, std::string_view line) {
  const auto document = JsonDocument::Parse(place, line);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  Outcome outcome;
  outcome.seed = static_cast<std::uint64_t>(root.Integer("seed", 0, kMost));
  outcome.user = static_cast<int>(root.Integer("user", 0, std::numeric_limits<int>::max()));
  outcome.training = root.String("training");
  outcome.data_sha256 = root.String("data_sha256");
  outcome.loss = root.Number("loss", kNonNegative);
  outcome.exact_match = root.Number("exact_match", {.low = 0.0, .high = 1.0});
  outcome.at_user = ReadCost(root.Object("at_user"));
  outcome.at_server = ReadCost(root.Object("at_server"));
  outcome.up_bytes = root.Number("up_bytes", kNonNegative);
  outcome.down_bytes = root.Number("down_bytes", kNonNegative);
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return outcome;
}

Expected<Results> Results::Open(const std::filesystem::path& path, const Json& settings) {
  Results results;
  results.path_ = path;
  if (!std::filesystem::exists(path)) {
    const Json header = {{"schema", kSchema}, {"settings", settings}};
    if (auto begun = WriteFileAtomically(path, header.dump() + "\n"); !begun) {
      return tl::unexpected(begun.error());
    }
  }
  if (auto locked = results.Lock(); !locked) return tl::unexpected(locked.error());
  const auto text = ReadFile(path);
  if (!text) return tl::unexpected(text.error());
  std::size_t number = 0, begin = 0;
  for (std::size_t end; (end = text->find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string place = fmt::format("{}:{}", path.string(), ++number);
    const std::string_view line = std::string_view(*text).substr(begin, end - begin);
    if (number == 1) {
      if (auto same = CheckSettings(path.string(), line, settings); !same) {
        return tl::unexpected(same.error());
      }
      continue;
    }
    auto outcome = ParseOutcome(place, line);
    if (!outcome) return tl::unexpected(outcome.error());
    const Key key(outcome->seed, outcome->user, outcome->training);
    results.outcomes_.insert_or_assign(key, std::move(*outcome));
  }
  if (number == 0) return Fail(ErrorKind::kBadInput, path.string(), "has no line of settings");
  if (begin < text->size()) {
    std::error_code failed;
    std::filesystem::resize_file(path, begin, failed);
    if (failed) return Fail(ErrorKind::kIo, path.string(), failed.message());
  }
  return results;
}

Expected<void> Results::Lock() {
  const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Fail(ErrorKind::kIo, path_.string(), std::strerror(errno));
  lock_ = std::shared_ptr<const int>(new int(file), [](const int* descriptor) {
    ::close(*descriptor);
    delete descriptor;
  });
  if (::flock(file, LOCK_EX | LOCK_NB) == 0) return {};
  return Fail(ErrorKind::kUsage, "--out", path_.string() + " is in use by another study");
}

Expected<const Outcome*> Results::Find(std::uint64_t seed,
                                       int user,
                                       const std::string& training,
                                       const std::string& data_sha256) const {
  const auto found = outcomes_.find({seed, user, training});
  if (found == outcomes_.end()) return nullptr;
  if (found->second.data_sha256 == data_sha256) return &found->second;
  return Fail(
      ErrorKind::kBadInput,
      path_.string(),
      fmt::format(
          "has results of seed {} for user {} on other data than are there now", seed, user));
}

Expected<void> Results::Append(const std::vector<Outcome>& outcomes) {
  std::string text;
  for (const Outcome& outcome : outcomes) text += ToJson(outcome).dump() + "\n";
  if (auto appended = AppendText(path_, text); !appended) return appended;
  for (const Outcome& outcome : outcomes) {
    outcomes_.insert_or_assign(Key(outcome.seed, outcome.user, outcome.training), outcome);
  }
  return {};
}

}  // namespace dashf::study
