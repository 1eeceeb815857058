// Simulates fleets: `dashf_simulate_fleet --seeds 1000` looks for a seed that breaks a property,
// `--first 4711 --seeds 1 --trace` replays one.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>

#include "simulation.h"

int main(int argc, char** argv) {
  using namespace dashf::fleet;
  CLI::App app("Simulates fleets under faults and checks what must hold");
  std::uint64_t first = 1, seeds = 1000;
  std::string name = "none";
  bool trace = false;
  app.add_option("--first", first, "The first seed")->capture_default_str();
  app.add_option("--seeds", seeds, "How many")->capture_default_str();
  app.add_option("--mistake", name, "Make this mistake (all: each in turn, until it is found)")
      ->capture_default_str();
  app.add_flag("--trace", trace, "Say what happens");
  CLI11_PARSE(app, argc, argv);
  if (name == "all") {
    bool all_found = true;
    for (const Mistake mistake : AllMistakes()) {
      std::uint64_t seed = first;
      std::string broken;
      for (; seed < first + seeds && broken.empty(); ++seed)
        broken = Simulate(seed, mistake, false).broken;
      all_found = all_found && !broken.empty();
      fmt::print(
          "{:26} {}\n",
          NameOf(mistake),
          broken.empty() ? "NOT FOUND" : fmt::format("found by seed {}: {}", seed - 1, broken));
    }
    return all_found ? 0 : 1;
  }
  Mistake mistake = Mistake::kNone;
  for (const Mistake each : AllMistakes()) {
    if (NameOf(each) == name) mistake = each;
  }
  std::int64_t messages = 0, faults = 0, done = 0, failed = 0;
  const std::clock_t start = std::clock();
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const SimulationResult result = Simulate(seed, mistake, trace);
    for (const std::string& line : result.trace) fmt::print("{}\n", line);
    messages += result.messages;
    faults += result.faults;
    done += result.tasks_done;
    failed += result.tasks_failed;
    if (result.broken.empty()) continue;
    fmt::print("seed {}: {}\nreplay it: {} --first {} --seeds 1 --trace\n",
               seed,
               result.broken,
               argv[0],
               seed);
    return 1;
  }
  const double cpu_s = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  fmt::print(
      "{} seeds hold: {} faults, {} messages; {} users' parts done, {} failed with a reason; "
      "{:.0f} seeds per minute of processor time\n",
      seeds,
      faults,
      messages,
      done,
      failed,
      60.0 * static_cast<double>(seeds) / cpu_s);
  return 0;
}
