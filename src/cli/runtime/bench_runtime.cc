// dashf bench runtime: a coordinator process under the load of many light nodes.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/json.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/scratch_folder.h"
#include "cli/size.h"
#include "cli/verbs.h"
#include "loadtest/load.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using loadtest::Load;
using loadtest::LoadFigures;

constexpr const char* kExamples =
    R"(Starts a coordinator and, in this process, N users and S servers that have neither model nor data and
end every phase at once: their sessions, reports and orders are real, over mutual TLS on the loopback
device; users and servers exchange nothing. Processor time, memory and descriptors are the
coordinator's alone. The last row of figures is its start with the log of all rounds.

Examples:
  dashf bench runtime --sizes 100x4,1000x20
  dashf bench runtime --sizes 100x4 --rounds 1000 --method greedy
  dashf bench runtime --sizes 10000x100 --json | jq '.rows[0].round_cpu_ms')";

struct Flags {
  std::vector<std::string> sizes = {"100x4", "1000x20"};
  Load load;
  std::string folder;
  bool json = false;
};

// Each node is a session of this process, with a certificate and connections of its own.
Expected<void> CheckBounded(const Size& size) {
  constexpr int kUsersMax = 100'000, kServersMax = 10'000;
  if (size.users <= kUsersMax && size.servers <= kServersMax) return {};
  return Fail(ErrorKind::kUsage,
              "--sizes",
              fmt::format("must be at most {}x{}, got {}", kUsersMax, kServersMax, size.name));
}

Expected<LoadFigures> MeasureSize(const Flags& flags, const Size& size) {
  Load load = flags.load;
  load.users = size.users;
  load.servers = size.servers;
  load.program = fs::read_symlink("/proc/self/exe").string();
  const ScratchFolder scratch;
  load.folder = flags.folder.empty() ? scratch.path() : fs::path(flags.folder) / size.name;
  if (load.folder.empty()) {
    return Fail(ErrorKind::kIo, fs::temp_directory_path().string(), "no folder can be made there");
  }
  return loadtest::Measure(
      load, [&size](const std::string& line) { fmt::print(stderr, "{}: {}\n", size.name, line); });
}

nlohmann::ordered_json RowOf(const Size& size, const Load& load, const LoadFigures& figures) {
  return {{"users", size.users},
          {"servers", size.servers},
          {"rounds", load.rounds},
          {"method", load.method},
          {"register_s", figures.register_s},
          {"register_cpu_ms", figures.register_cpu_ms},
          {"plan_s", figures.plan_s},
          {"plan_cpu_s", figures.plan_cpu_s},
          {"round_s", figures.round_s},
          {"round_cpu_ms", figures.round_cpu_ms},
          {"memory_bytes", figures.memory_bytes},
          {"descriptors", figures.descriptors},
          {"log_bytes", figures.log_bytes},
          {"restart_s", figures.restart_s},
          {"broken_sessions", figures.broken_sessions}};
}

void PrintTable(const nlohmann::ordered_json& rows) {
  fmt::print("{:>12} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9}\n",
             "size",
             "register",
             "ms/node",
             "plan",
             "round",
             "ms/user",
             "memory",
             "files",
             "log",
             "restart",
             "broken");
  for (const auto& row : rows) {
    fmt::print(
        "{:>12} {:>7.2f} s {:>9.3f} {:>6.2f} s {:>6.2f} s {:>9.3f} {:>5.0f} MiB {:>8} {:>6.0f} B "
        "{:>7.2f} s {:>9}\n",
        fmt::format("{}x{}", row["users"].get<int>(), row["servers"].get<int>()),
        row["register_s"].get<double>(),
        row["register_cpu_ms"].get<double>(),
        row["plan_s"].get<double>(),
        row["round_s"].get<double>(),
        row["round_cpu_ms"].get<double>(),
        row["memory_bytes"].get<double>() / (1 << 20),
        row["descriptors"].get<std::size_t>(),
        row["log_bytes"].get<double>(),
        row["restart_s"].get<double>(),
        row["broken_sessions"].get<std::size_t>());
  }
}

Expected<int> RunBenchRuntime(const Flags& flags) {
  auto rows = nlohmann::ordered_json::array();
  for (const std::string& name : flags.sizes) {
    const auto size = ParseSize(name);
    if (!size) return tl::unexpected(size.error());
    if (auto bounded = CheckBounded(*size); !bounded) return tl::unexpected(bounded.error());
    const auto figures = MeasureSize(flags, *size);
    if (!figures) return tl::unexpected(figures.error());
    rows.push_back(RowOf(*size, flags.load, *figures));
  }
  if (flags.json) {
    fmt::print("{}\n",
               nlohmann::ordered_json{{"format", "dashf.bench-runtime/1"}, {"rows", rows}}.dump(2));
  } else {
    PrintTable(rows);
  }
  return kExitOk;
}

}  // namespace

void AddBenchRuntime(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineSubcommand(app, "bench", "runtime");
  verb.add_option("--sizes", flags->sizes, "USERSxSERVERS, comma-separated")
      .delimiter(',')
      .capture_default_str();
  verb.add_option("--rounds", flags->load.rounds, "Rounds of each size, whose medians are shown")
      .check(Range(1, 100000))
      .capture_default_str();
  verb.add_option("--method", flags->load.method, "Planning method").capture_default_str();
  verb.add_option("--seed", flags->load.seed, "Of the scenario").capture_default_str();
  verb.add_option("--time-limit-s", flags->load.time_limit_s, "For registering, and for each round")
      .check(Within(1.0, 1e6))
      .capture_default_str();
  verb.add_option("--folder", flags->folder, "Keep what the coordinator wrote here, by size");
  verb.add_flag("--json", flags->json, "Figures as JSON, in the units of their names");
  verb.footer(kExamples);
  verb.callback([flags, &run] { run = [flags] { return RunBenchRuntime(*flags); }; });
}

}  // namespace dashf::cli
