// dashf new: a scenario from a seed, from a measured profile, or from the EUA data set's geography.
#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/rng.h"
#include "cli/command.h"
#include "scenario/eua.h"
#include "scenario/generator.h"
#include "scenario/profile_io.h"
#include "scenario/scenario_io.h"

namespace dashf::cli {
namespace {

constexpr int kNodesMax = 1'000'000;
constexpr int kEuaCandidates = 8;

struct Arguments {
  int users = 10;
  int servers = 2;
  std::optional<int> candidates;
  std::string delay = "sum";
  std::string compute_energy = "cubic";
  std::uint64_t seed = 1;
  std::string profile;
  std::vector<std::string> eua;  // Sites, users.
  std::string out;
  GeneratorOptions options;
};

Expected<Scenario> Generate(Arguments arguments) {
  GeneratorOptions& options = arguments.options;
  options.delay = arguments.delay == "makespan" ? DelayMode::kMakespan : DelayMode::kSum;
  options.compute_energy = arguments.compute_energy == "per-flop" ? ComputeEnergy::kConstantPerFlop
                                                                  : ComputeEnergy::kCubicPower;
  if (!arguments.profile.empty()) {
    auto measured = ReadProfile(arguments.profile);
    if (!measured) return tl::unexpected(measured.error());
    options.profile = std::move(*measured);
  }
  const Rng rng(arguments.seed);
  if (arguments.eua.empty()) {
    return GenerateStudy(arguments.users, arguments.servers, options, rng, arguments.candidates);
  }
  const auto places = ReadEua(arguments.eua[0], arguments.eua[1]);
  if (!places) return tl::unexpected(places.error());
  return GenerateAt(*places, arguments.candidates.value_or(kEuaCandidates), options, rng);
}

Expected<int> RunNew(const Arguments& arguments) {
  const auto scenario = Generate(arguments);
  if (!scenario) return tl::unexpected(scenario.error());
  if (const auto written = WriteFileAtomically(arguments.out, WriteScenario(*scenario)); !written) {
    return tl::unexpected(written.error());
  }
  fmt::print(stderr,
             "{}: {} users, {} servers, {} delay, seed {}\n",
             arguments.out,
             scenario->users.size(),
             scenario->servers.size(),
             arguments.delay,
             arguments.seed);
  return kExitOk;
}

void AddOptions(CLI::App* verb, Arguments* arguments) {
  GeneratorOptions& options = arguments->options;
  auto* users = verb->add_option("--users", arguments->users, "Users")
                    ->check(CLI::Range(1, kNodesMax))
                    ->capture_default_str();
  auto* servers = verb->add_option("--servers", arguments->servers, "Edge servers")
                      ->check(CLI::Range(1, kNodesMax))
                      ->capture_default_str();
  auto* area = verb->add_option("--area-side-m", options.area_side_m, "Side of the square, m")
                   ->check(CLI::PositiveNumber)
                   ->capture_default_str();
  auto* eua = verb->add_option("--eua",
                               arguments->eua,
                               "Real places instead: CSV files of sites and of users with latitude "
                               "and longitude columns")
                  ->type_name("SITES USERS")
                  ->expected(2);
  verb->add_option("--candidates",
                   arguments->candidates,
                   "Strongest servers each user may reach [all; 8 with --eua]")
      ->check(CLI::Range(1, kNodesMax));
  for (CLI::Option* square : {users, servers, area}) eua->excludes(square);
  verb->add_option("--delay", arguments->delay, "Delay mode")
      ->check(CLI::IsMember({"sum", "makespan"}))
      ->capture_default_str();
  verb->add_option("--compute-energy",
                   arguments->compute_energy,
                   "cubic: power grows with the clock's cube; per-flop: constant energy per FLOP")
      ->check(CLI::IsMember({"cubic", "per-flop"}))
      ->capture_default_str();
  verb->add_flag("--all-local", options.all_local_allowed, "Allow users to train every layer");
  verb->add_option("--seed", arguments->seed, "Same seed, same scenario")->capture_default_str();
  verb->add_option("--bandwidth-hz", options.bandwidth_hz, "Bandwidth of each server")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--user-tx-power-w", options.user_tx_power_w, "Each user's transmit power")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--server-tx-power-w", options.server_tx_power_w, "Each server's transmit power")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  auto* profile = verb->add_option(
      "--profile", arguments->profile, "Measured dashf.profile/1 instead of the analytic 1B Llama");
  verb->add_option("--machine-share",
                   options.machine_share,
                   "Fastest user device, as a share of the profile's machine")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->needs(profile);
  verb->add_option("--name", options.name, "The scenario's name")->capture_default_str();
  verb->add_option("--out", arguments->out, "File to write")->required();
}

}  // namespace

void AddNew(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("new", "Make a scenario: the default study or real places");
  AddOptions(verb, arguments.get());
  verb->footer(
      "Examples:\n"
      "  dashf new --seed 7 --out scenario.json\n"
      "  dashf new --users 50 --servers 5 --delay makespan --bandwidth-hz 1e6 --out scenario.json\n"
      "  dashf new --users 10000 --servers 200 --candidates 8 --out large.json\n"
      "  dashf new --profile profile.json --out scenario.json\n"
      "  dashf new --eua sites.csv users.csv --candidates 8 --out melbourne.json");
  verb->callback([arguments, &run] { run = [arguments] { return RunNew(*arguments); }; });
}

}  // namespace dashf::cli
