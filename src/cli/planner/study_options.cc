#include "cli/planner/study_options.h"
#include "cli/numbers.h"

namespace dashf::cli {
namespace {

constexpr int kNodesMax = 1'000'000;

}  // namespace

std::vector<CLI::Option*> AddStudyOptions(CLI::App* verb, sweep::StudySettings* settings) {
  GeneratorOptions& options = settings->options;
  CLI::Option* users = verb->add_option("--users", settings->users, "Users")
                           ->check(CLI::Range(1, kNodesMax))
                           ->capture_default_str();
  CLI::Option* servers = verb->add_option("--servers", settings->servers, "Edge servers")
                             ->check(CLI::Range(1, kNodesMax))
                             ->capture_default_str();
  CLI::Option* area =
      verb->add_option("--area-side-m", options.area_side_m, "Side of the square, m")
          ->check(FinitePositive())
          ->capture_default_str();
  verb->add_option(
          "--candidates", settings->candidates, "Strongest servers each user may reach [all]")
      ->check(CLI::Range(1, kNodesMax));
  verb->add_option_function<std::string>(
          "--delay",
          [&options](const std::string& mode) {
            options.delay = mode == "makespan" ? DelayMode::kMakespan : DelayMode::kSum;
          },
          "Delay mode")
      ->check(CLI::IsMember({"sum", "makespan"}))
      ->default_str("sum");
  verb->add_option_function<std::string>(
          "--compute-energy",
          [&options](const std::string& model) {
            options.compute_energy =
                model == "per-flop" ? ComputeEnergy::kConstantPerFlop : ComputeEnergy::kCubicPower;
          },
          "cubic: power grows with the clock's cube; per-flop: constant energy per FLOP")
      ->check(CLI::IsMember({"cubic", "per-flop"}))
      ->default_str("cubic");
  verb->add_flag("--all-local", options.all_local_allowed, "Allow users to train every layer");
  verb->add_option("--bandwidth-hz", options.bandwidth_hz, "Bandwidth of each server")
      ->check(FinitePositive())
      ->capture_default_str();
  verb->add_option("--user-tx-power-w", options.user_tx_power_w, "Each user's transmit power")
      ->check(FinitePositive())
      ->capture_default_str();
  verb->add_option("--server-tx-power-w", options.server_tx_power_w, "Each server's transmit power")
      ->check(FinitePositive())
      ->capture_default_str();
  return {users, servers, area};
}

}  // namespace dashf::cli
