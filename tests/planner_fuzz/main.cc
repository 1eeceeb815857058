// Every planning method in random scenarios, ordinary and extreme, held against the evaluator, the
// verifier and exhaustive search:
//
//     dashf_planner_fuzz --first 1 --count 1000       # these seeds
//     dashf_planner_fuzz --first 1 --seconds 3600     # for an hour
//     dashf_planner_fuzz --first 17 --count 1 --out odd.json  # one again, and its scenario's file
//
// Prints the seed and the rule of each finding, the seed and the method where the program crashes
// or does not end, and a summary; exit 1 if anything was found.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <limits>
#include <map>
#include <string>

#include "base/file.h"
#include "base/termination.h"
#include "method_checks.h"
#include "odd_scenarios.h"
#include "scenario/scenario_io.h"

namespace dashf::planner_fuzz {
namespace {

constexpr unsigned kHangS = 300;  // For one scenario, with all methods.
constexpr double kSlowS = 5.0;    // Said, but no finding.

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t count = std::numeric_limits<std::uint64_t>::max();
  double seconds = std::numeric_limits<double>::infinity();
  std::uint64_t bound_every = 1;
  bool small = false;
  std::string out;
};

struct Summary {
  std::uint64_t tried = 0, invalid = 0, broken = 0;
  std::uint64_t exhaustive = 0, best = 0, proven = 0, tight = 0;
  std::uint64_t slowest_seed = 0;
  double slowest_s = 0.0;
};

// Where the program is, for the signals below.
std::array<char, 128> current_place;

void Say(const char* text) {
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
}

void SayWhere(int signal) {
  Say("ended by a signal at ");
  Say(current_place.data());
  Say("\n");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::uint64_t current_seed = 0;
const char* current_step = "scenario";
std::map<std::string, double> processor_s_by_step;

double ProcessorS() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

void Enter(const char* step) {
  static double entered_s = 0.0;
  processor_s_by_step[current_step] += ProcessorS() - entered_s;
  entered_s = ProcessorS();
  current_step = step;
  const auto end = fmt::format_to_n(
      current_place.data(), current_place.size() - 1, "seed {}, {}", current_seed, step);
  *end.out = '\0';
}

void Try(std::uint64_t seed, const Arguments& arguments, Summary* summary) {
  current_seed = seed;
  Enter("scenario");
  const Scenario scenario = OddScenario(seed, arguments.small);
  if (!Validate(scenario)) {
    ++summary->invalid;
    return;
  }
  alarm(kHangS);
  const double start_s = ProcessorS();
  const Findings findings = CheckMethods(scenario, seed % arguments.bound_every == 0, Enter);
  Enter("scenario");
  const double processor_s = ProcessorS() - start_s;
  alarm(0);
  ++summary->tried;
  summary->broken += findings.broken.empty() ? 0 : 1;
  summary->exhaustive += findings.exhaustive;
  summary->best += findings.is_best;
  summary->proven += findings.proven;
  summary->tight += findings.is_tight;
  if (processor_s > kSlowS) fmt::print("seed {}: took {:.1f} s\n", seed, processor_s);
  if (processor_s > summary->slowest_s) {
    summary->slowest_s = processor_s;
    summary->slowest_seed = seed;
  }
  for (const std::string& rule : findings.broken) fmt::print("seed {}: {}\n", seed, rule);
  std::fflush(stdout);
}

int Run(const Arguments& arguments) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS, SIGALRM}) {
    std::signal(signal, SayWhere);
  }
  if (!arguments.out.empty()) {
    const auto written = WriteFileAtomically(
        arguments.out, WriteScenario(OddScenario(arguments.first, arguments.small)));
    if (!written) fmt::print(stderr, "{}\n", written.error().Text());
  }
  Summary summary;
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < arguments.count && watch.ElapsedS() < arguments.seconds; ++i) {
    Try(arguments.first + i, arguments, &summary);
  }
  fmt::print(
      "{} scenarios ({} more drawn are invalid), from seed {} on; {} with findings; the best plan "
      "is known in {}, found in {}; bounds proven in {}, to 3 % in {}; slowest: seed {}, {:.2f} s "
      "of processor time; {:.1f} s in all\n",
      summary.tried,
      summary.invalid,
      arguments.first,
      summary.broken,
      summary.exhaustive,
      summary.best,
      summary.proven,
      summary.tight,
      summary.slowest_seed,
      summary.slowest_s,
      ProcessorS());
  for (const auto& [step, processor_s] : processor_s_by_step) {
    fmt::print("  {:<18} {:8.2f} s\n", step, processor_s);
  }
  return summary.broken == 0 ? 0 : 1;
}

}  // namespace
}  // namespace dashf::planner_fuzz

int main(int argc, char** argv) {
  dashf::planner_fuzz::Arguments arguments;
  CLI::App app("Holds every planning method against every other in odd scenarios");
  app.add_option("--first", arguments.first, "The first seed");
  app.add_option("--count", arguments.count, "So many seeds");
  app.add_option("--seconds", arguments.seconds, "End after the scenario that this falls in");
  app.add_option(
         "--bound-every", arguments.bound_every, "With the makespan bound one seed in so many")
      ->check(CLI::Range(1, 1000000));
  app.add_flag("--small", arguments.small, "Up to three users, two servers, two layers");
  app.add_option("--out", arguments.out, "Write the first seed's scenario to this file, too");
  CLI11_PARSE(app, argc, argv);
  return dashf::planner_fuzz::Run(arguments);
}
