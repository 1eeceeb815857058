// dashf new: a scenario from a seed, from a measured profile, or from the EUA data set's geography.
#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/rng.h"
#include "cli/command.h"
#include "cli/planner/study_options.h"
#include "scenario/eua.h"
#include "scenario/families.h"
#include "scenario/generator.h"
#include "scenario/profile_io.h"
#include "scenario/scenario_io.h"

namespace dashf::cli {
namespace {

constexpr int kEuaCandidates = 8;

struct Arguments {
  sweep::StudySettings study;
  std::uint64_t seed = 1;
  std::string profile;
  std::string family;
  std::vector<std::string> eua;  // Sites, users.
  std::string out;
};

Expected<Scenario> Generate(Arguments arguments) {
  GeneratorOptions& options = arguments.study.options;
  if (!arguments.profile.empty()) {
    auto measured = ReadProfile(arguments.profile);
    if (!measured) return tl::unexpected(measured.error());
    options.profile = std::move(*measured);
  }
  if (!arguments.family.empty()) {
    return GenerateFamily(arguments.family,
                          arguments.study.users,
                          arguments.study.servers,
                          options,
                          Rng(arguments.seed),
                          arguments.study.candidates);
  }
  if (arguments.eua.empty()) return sweep::Generate(arguments.study, arguments.seed);
  const auto places = ReadEua(arguments.eua[0], arguments.eua[1]);
  if (!places) return tl::unexpected(places.error());
  const int candidates = arguments.study.candidates.value_or(kEuaCandidates);
  return GenerateAt(*places, candidates, options, Rng(arguments.seed));
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
             scenario->objective.delay == DelayMode::kSum ? "sum" : "makespan",
             arguments.seed);
  return kExitOk;
}

std::string FamilyList() {
  std::string list;
  for (const Family& family : Families()) {
    list += fmt::format("  {:<17} {}\n", family.name, family.summary);
  }
  return list;
}

void AddOptions(CLI::App* verb, Arguments* arguments) {
  const std::vector<CLI::Option*> square = AddStudyOptions(verb, &arguments->study);
  GeneratorOptions& options = arguments->study.options;
  verb->get_option("--candidates")
      ->description("Strongest servers each user may reach [all; 8 with --eua]");
  auto* eua = verb->add_option("--eua",
                               arguments->eua,
                               "Real places instead: CSV files of sites and of users with latitude "
                               "and longitude columns")
                  ->type_name("SITES USERS")
                  ->expected(2);
  for (CLI::Option* option : square) eua->excludes(option);
  verb->add_option("--family", arguments->family, "One of the families below [the default study]")
      ->excludes(eua);
  verb->add_option("--seed", arguments->seed, "Same seed, same scenario")->capture_default_str();
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
      "Families of scenarios (--area-side-m is then the side for two servers; the other families "
      "keep\nthe number of servers per area):\n" +
      FamilyList() +
      "Examples:\n"
      "  dashf new --seed 7 --out scenario.json\n"
      "  dashf new --users 50 --servers 5 --delay makespan --bandwidth-hz 1e6 --out scenario.json\n"
      "  dashf new --users 10000 --servers 200 --candidates 8 --out large.json\n"
      "  dashf new --family clustered --users 50 --servers 5 --out clustered.json\n"
      "  dashf new --profile profile.json --out scenario.json\n"
      "  dashf new --eua sites.csv users.csv --candidates 8 --out melbourne.json");
  verb->callback([arguments, &run] { run = [arguments] { return RunNew(*arguments); }; });
}

}  // namespace dashf::cli
