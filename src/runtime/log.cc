#include "runtime/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <grpc/support/log.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/counted.h"
#include "base/printable.h"

namespace dashf::runtime {
namespace {

// A reader that has taken nothing for so long is not waited for until it does.
constexpr int kPatienceMs = 100;
constexpr std::array kNames = {"debug", "info", "warning", "error"};
constexpr std::array kJournalPriority = {7, 6, 4, 3};  // As of syslog(3).

// 2026-11-29T11:20:01.123Z
std::string TimeText() {
  using std::chrono::milliseconds;
  const auto now =
      std::chrono::floor<milliseconds>(std::chrono::system_clock::now()).time_since_epoch();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::floor<std::chrono::seconds>(now).count()),
                     (now % std::chrono::seconds(1)).count());
}

// systemd's journal notes the time by itself, and takes a priority (sd-daemon(3)).
bool IsJournal(int descriptor) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat own {};
  return stream != nullptr && ::fstat(descriptor, &own) == 0 &&
         fmt::format("{}:{}", own.st_dev, own.st_ino) == stream;
}

std::string JsonLine(LogLevel level,
                     const std::string& node,
                     std::string_view component,
                     const std::string& message,
                     const Log::Fields& fields) {
  Log::Fields line = {{"time", TimeText()},
                      {"level", Name(level)},
                      {"node", node},
                      {"component", component},
                      {"message", PrintableLine(message)}};
  for (const auto& [key, value] : fields.items()) {
    if (!line.contains(key)) line[key] = value;
  }
  return line.dump(-1, ' ', false, Log::Fields::error_handler_t::replace) + "\n";
}

std::string TextLine(LogLevel level,
                     const std::string& node,
                     std::string_view component,
                     const std::string& message,
                     const Log::Fields& fields,
                     bool journal) {
  const std::string when =
      journal ? fmt::format("<{}>", kJournalPriority.at(static_cast<std::size_t>(level)))
              : fmt::format("{} ", TimeText());
  const std::string mark = level == LogLevel::kInfo ? "" : fmt::format("{}: ", Name(level));
  const std::string values =
      level != LogLevel::kDebug
          ? ""
          : fmt::format(" {}", fields.dump(-1, ' ', false, Log::Fields::error_handler_t::replace));
  return fmt::format(
      "{}{} {}: {}{}{}\n", when, node, component, mark, PrintableLine(message), values);
}

}  // namespace

const char* Name(LogLevel level) {
  return kNames.at(static_cast<std::size_t>(level));
}

class Log::Output {
 public:
  Output(const LogOptions& wanted, int descriptor)
      : options(wanted), journal(IsJournal(descriptor)), descriptor_(descriptor) {}

  // `told_lost` makes the line that says how many were lost before this one.
  void Put(std::string line, const std::function<std::string(std::size_t lost)>& told_lost) {
    const std::lock_guard lock(mutex_);
    if (!Ready(lost_ > 0 ? 0 : kPatienceMs)) {
      ++lost_;
      return;
    }
    if (lost_ > 0) line = fmt::format("{}{}{}", torn_ ? "\n" : "", told_lost(lost_), line);
    lost_ = 0;
    torn_ = false;
    // A pipe that is ready takes so many bytes without waiting.
    for (std::string_view rest = line; !rest.empty();) {
      if (rest.size() < line.size() && !Ready(kPatienceMs)) {
        lost_ = 1;
        torn_ = true;
        return;
      }
      const ssize_t written =
          ::write(descriptor_, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
      if (written < 0) return;  // Nobody is there any more, or the disk is full.
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const LogOptions options;
  const bool journal;

 private:
  bool Ready(int patience_ms) const {
    pollfd output{descriptor_, POLLOUT, 0};
    return ::poll(&output, 1, patience_ms) == 1;  // Or an error, which writing tells at once.
  }

  const int descriptor_;
  std::mutex mutex_;  // Guards what follows.
  std::size_t lost_ = 0;
  bool torn_ = false;  // The last line has no end.
};

Log::Log(const LogOptions& options, std::string node, int descriptor)
    : output_(std::make_shared<Output>(options, descriptor)), node_(std::move(node)) {}

Log Log::Named(std::string node) const {
  Log other = *this;
  other.node_ = std::move(node);
  return other;
}

bool Log::Shows(LogLevel level) const {
  return output_ != nullptr && level >= output_->options.level;
}

void Log::Write(LogLevel level,
                std::string_view component,
                const std::string& message,
                const Fields& fields) const {
  if (!Shows(level)) return;
  const auto line =
      [&](LogLevel of, std::string_view part, const std::string& text, const Fields& values) {
        return output_->options.format == LogFormat::kJson
                   ? JsonLine(of, node_, part, text, values)
                   : TextLine(of, node_, part, text, values, output_->journal);
      };
  output_->Put(line(level, component, message, fields), [&](std::size_t lost) {
    return line(LogLevel::kWarning,
                "log",
                fmt::format("{} before this one {} lost: nobody took them",
                            Counted(lost, "line"),
                            lost == 1 ? "is" : "are"),
                {{"lost", lost}});
  });
}

void Log::Write(LogLevel level, std::string_view component, const std::string& message) const {
  Write(level, component, message, Fields::object());
}

void TakeGrpcLines(const Log& log) {
  static Log grpc_log;
  grpc_log = log;
  gpr_set_log_function([](gpr_log_func_args* args) {
    grpc_log.Write(
        LogLevel::kDebug, "grpc", args->message, {{"file", args->file}, {"line", args->line}});
  });
}

std::string_view MessageOf(std::string_view line) {
  // 2026-11-29T11:20:01.123Z user/u3 session: warning: ...
  constexpr std::size_t kTimeBytes = 24;
  const bool timed =
      line.size() > kTimeBytes && line[10] == 'T' && line.substr(kTimeBytes - 1, 2) == "Z ";
  const std::size_t colon = timed ? line.find(": ", kTimeBytes) : line.npos;
  return colon == line.npos ? line : line.substr(colon + 2);
}

}  // namespace dashf::runtime
