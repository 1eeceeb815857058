// A job in a process of its own, and what is read from its output.
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/json.h"
#include "base/termination.h"
#include "cli/train/bench_job.h"

namespace dashf::cli {
namespace {

constexpr int kTimedOut = 124;  // timeout(1)'s exit code.

class Pipe {
 public:
  explicit Pipe(const std::string& command) : stream_(::popen(command.c_str(), "r")) {}
  ~Pipe() {
    if (stream_ != nullptr) Close();
    std::free(line_);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  bool open() const { return stream_ != nullptr; }
  std::optional<std::string> Line() {
    const ssize_t length = ::getline(&line_, &capacity_, stream_);
    if (length < 0) return std::nullopt;
    return std::string(line_, static_cast<std::size_t>(length));
  }
  int Close() { return ::pclose(std::exchange(stream_, nullptr)); }

 private:
  std::FILE* stream_;
  char* line_ = nullptr;
  std::size_t capacity_ = 0;
};

// A step of the phase that is due, or, after the last, the program's account of itself.
Expected<void> TakeLine(const std::string& command,
                        const std::string& line,
                        const BenchJob& job,
                        BenchOutcome* outcome) {
  const auto document = JsonDocument::Parse(command, line);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  if (root.Has("program")) {
    outcome->program = root.String("program");
    outcome->settings = root.String("settings");
    outcome->loaded_bytes = root.Number("loaded_bytes", kPositive);
    outcome->peak_bytes = root.Number("peak_bytes", kPositive);
    if (root.Has("foretold_bytes")) {
      outcome->foretold_bytes = root.Number("foretold_bytes", kPositive);
    }
    if (root.Has("gemm_flop_per_s")) {
      outcome->gemm_flop_per_s = root.Number("gemm_flop_per_s", kPositive);
    }
  } else {
    const auto last = std::ssize(job.phases) - 1;
    const auto phase = static_cast<std::size_t>(root.Integer("phase", 0, last));
    outcome->phases[phase].push_back({root.Number("loss"), root.Number("elapsed_s", kNonNegative)});
  }
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  return {};
}

Expected<void> CheckWhole(const std::string& command,
                          const BenchJob& job,
                          const BenchOutcome& outcome) {
  for (std::size_t phase = 0; phase < job.phases.size(); ++phase) {
    const int due = job.phases[phase].epochs;
    if (std::ssize(outcome.phases[phase]) == due) continue;
    return Fail(
        ErrorKind::kBadInput,
        command,
        fmt::format(
            "must state {} steps of phase {}, got {}", due, phase, outcome.phases[phase].size()));
  }
  if (!outcome.program.empty()) return {};
  return Fail(ErrorKind::kBadInput, command, "must name its program at the end");
}

}  // namespace

std::string ShellQuoted(std::string_view word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

Expected<BenchOutcome> RunJob(const std::string& command,
                              const BenchJob& job,
                              const std::string& path,
                              int time_limit_s) {
  if (auto written = WriteJob(job, path); !written) return tl::unexpected(written.error());
  BenchOutcome outcome;
  outcome.phases.resize(job.phases.size());
  const Stopwatch watch;
  Pipe pipe(fmt::format("exec timeout --foreground --kill-after=5 {} {} {}",
                        time_limit_s,
                        command,
                        ShellQuoted(path)));
  if (!pipe.open()) return Fail(ErrorKind::kIo, command, "cannot be started");
  while (const auto line = pipe.Line()) {
    if (outcome.first_step_s == 0.0) outcome.first_step_s = watch.ElapsedS();
    if (auto taken = TakeLine(command, *line, job, &outcome); !taken) {
      return tl::unexpected(taken.error());
    }
  }
  const int status = pipe.Close();
  if (WIFEXITED(status) && WEXITSTATUS(status) == kTimedOut) {
    return Fail(ErrorKind::kIo, command, fmt::format("took longer than {} s", time_limit_s));
  }
  if (status != 0) {
    return Fail(ErrorKind::kIo,
                command,
                WIFEXITED(status) ? fmt::format("failed with exit {}", WEXITSTATUS(status))
                                  : fmt::format("was ended by signal {}", WTERMSIG(status)));
  }
  if (auto whole = CheckWhole(command, job, outcome); !whole) return tl::unexpected(whole.error());
  return outcome;
}

}  // namespace dashf::cli
