#include "cli/planner/study_options.h"

#include <fmt/format.h>

#include "cli/numbers.h"

namespace dashf::cli {
namespace {

constexpr int kNodesMax = 1'000'000;

}  // namespace

void AddUsersOption(Command verb, sweep::StudySettings* settings) {
  verb.add_option("--users", settings->users, "Users")
      .check(Range(1, kNodesMax))
      .capture_default_str();
}

std::vector<Option> AddStudyOptions(Command verb,
                                    sweep::StudySettings* settings,
                                    const std::string& candidates) {
  GeneratorOptions& options = settings->options;
  Option servers = verb.add_option("--servers", settings->servers, "Edge servers")
                       .check(Range(1, kNodesMax))
                       .capture_default_str();
  Option area = verb.add_option("--area-side-m", options.area_side_m, "Side of the square, m")
                    .check(FinitePositive())
                    .capture_default_str();
  verb.add_option("--candidates",
                  settings->candidates,
                  fmt::format("Strongest servers each user may reach [{}]", candidates))
      .check(Range(1, kNodesMax));
  verb.add_option_function<std::string>(
          "--delay",
          [&options](const std::string& mode) {
            options.delay = mode == "makespan" ? DelayMode::kMakespan : DelayMode::kSum;
          },
          "Delay mode")
      .check(IsMember({"sum", "makespan"}))
      .default_str("sum");
  verb.add_option_function<std::string>(
          "--compute-energy",
          [&options](const std::string& model) {
            options.compute_energy =
                model == "per-flop" ? ComputeEnergy::kConstantPerFlop : ComputeEnergy::kCubicPower;
          },
          "cubic: power grows with the clock's cube; per-flop: constant energy per FLOP")
      .check(IsMember({"cubic", "per-flop"}))
      .default_str("cubic");
  verb.add_flag("--all-local", options.all_local_allowed, "Allow users to train every layer");
  verb.add_option("--bandwidth-hz", options.bandwidth_hz, "Bandwidth of each server")
      .check(FinitePositive())
      .capture_default_str();
  verb.add_option("--user-tx-power-w", options.user_tx_power_w, "Each user's transmit power")
      .check(FinitePositive())
      .capture_default_str();
  verb.add_option("--server-tx-power-w", options.server_tx_power_w, "Each server's transmit power")
      .check(FinitePositive())
      .capture_default_str();
  return {servers, area};
}

}  // namespace dashf::cli
