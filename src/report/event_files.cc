#include "report/event_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>

#include "base/digest.h"
#include "base/file.h"
#include "round/round_record.h"

namespace dashf::report {
namespace {

namespace fs = std::filesystem;

constexpr char kFileName[] = "events.out.tfevents.dashf";  // TensorBoard looks for "tfevents".

// Little-endian, as both formats have it.
template <class T>
std::string Bytes(T value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  }
  return bytes;
}

std::string Record(const std::string& payload) {
  const auto masked = [](const std::string& bytes) {
    return Bytes(std::rotr(Crc32c(bytes), 15) + 0xa282ead8U);
  };
  const std::string length = Bytes(std::uint64_t{payload.size()});
  return length + masked(length) + payload + masked(payload);
}

// Protobuf's wire format, of the four kinds of fields that there are.
std::string Varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string Integer(std::uint64_t field, std::int64_t value) {
  return Varint(field << 3) + Varint(static_cast<std::uint64_t>(value));
}
std::string Double(std::uint64_t field, double value) {
  return Varint(field << 3 | 1) + Bytes(std::bit_cast<std::uint64_t>(value));
}
std::string Float(std::uint64_t field, float value) {
  return Varint(field << 3 | 5) + Bytes(std::bit_cast<std::uint32_t>(value));
}
std::string Message(std::uint64_t field, const std::string& bytes) {  // Or a string.
  return Varint(field << 3 | 2) + Varint(bytes.size()) + bytes;
}

// Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
// Summary { repeated Value value = 1; }, Value { string tag = 1; float simple_value = 2; }
std::string Encode(const ScalarEvent& event) {
  std::string summary;
  for (const auto& [tag, value] : event.values) {
    summary += Message(1, Message(1, tag) + Float(2, value));
  }
  return Double(1, event.time_s) + Integer(2, event.step) + Message(5, summary);
}

ScalarEvent EventOf(const RoundRecord& round, const UserRecord& user, double time_s) {
  ScalarEvent event{.time_s = time_s, .step = round.number, .values = {}};
  const auto add = [&](const char* tag, const std::optional<double>& value) {
    if (value) event.values.emplace_back(tag, static_cast<float>(*value));
  };
  add("loss/before", user.before.loss);
  add("loss/after", user.after.loss);
  add("exact_match/before", user.before.exact_match);
  add("exact_match/after", user.after.exact_match);
  add("choice_accuracy/before", user.before.choice_accuracy);
  add("choice_accuracy/after", user.after.choice_accuracy);
  return event;
}

std::vector<fs::path> RecordsIn(const fs::path& run) {
  std::vector<fs::path> paths;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run / "rounds", none)) {
    const std::string name = entry.path().filename().string();
    const bool numbered = std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
    const fs::path path = entry.path() / "round.json";
    if (numbered && fs::exists(path, none)) paths.push_back(path);  // Else it has not ended.
  }
  if (paths.empty()) paths.push_back(run / "round.json");
  return paths;
}

Expected<void> WriteOrGoOn(const fs::path& path, const std::string& bytes) {
  std::error_code none;
  const auto there = fs::exists(path, none) ? ReadFile(path) : std::string();
  if (!there) return tl::unexpected(there.error());
  if (there->empty() || !bytes.starts_with(*there)) return WriteFileAtomically(path, bytes);
  std::ofstream file(path, std::ios::binary | std::ios::app);
  file << bytes.substr(there->size());
  if (!file.flush()) return Fail(ErrorKind::kIo, path.string(), "cannot be written");
  return {};
}

}  // namespace

std::string EncodeEventFile(const std::vector<ScalarEvent>& events) {
  const double begun_s = events.empty() ? 0.0 : events.front().time_s;
  std::string bytes = Record(Double(1, begun_s) + Message(3, "brain.Event:2"));
  for (const ScalarEvent& event : events) bytes += Record(Encode(event));
  return bytes;
}

Expected<std::size_t> WriteEventFiles(const fs::path& run, const fs::path& out) {
  std::map<std::string, std::map<std::int64_t, ScalarEvent>> events;  // By user and round.
  for (const fs::path& path : RecordsIn(run)) {
    const auto text = ReadFile(path);
    if (!text) return tl::unexpected(text.error());
    const auto round = ParseRound(path.string(), *text);
    if (!round) return tl::unexpected(round.error());
    std::error_code failed;
    const auto written_at = std::chrono::file_clock::to_sys(fs::last_write_time(path, failed));
    if (failed) return Fail(ErrorKind::kIo, path.string(), failed.message());
    const double time_s = std::chrono::duration<double>(written_at.time_since_epoch()).count();
    for (const UserRecord& user : round->users) {
      if (user.id.empty() || user.id.front() == '.' || user.id.find('/') != std::string::npos) {
        return Fail(ErrorKind::kBadInput,
                    path.string() + ": users[].id",
                    fmt::format("must name a folder, got \"{}\"", user.id));
      }
      ScalarEvent event = EventOf(*round, user, time_s);
      if (!event.values.empty()) events[user.id][event.step] = std::move(event);
    }
  }
  for (const auto& [user, rounds] : events) {
    std::vector<ScalarEvent> ordered;
    for (const auto& [step, event] : rounds) ordered.push_back(event);
    if (auto written = WriteOrGoOn(out / user / kFileName, EncodeEventFile(ordered)); !written) {
      return tl::unexpected(written.error());
    }
  }
  return events.size();
}

}  // namespace dashf::report
