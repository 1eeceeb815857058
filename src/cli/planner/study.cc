// dashf study rounds: what planning anew is worth over the rounds of a fleet whose world changes.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/termination.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/planner/rounds_report.h"
#include "cli/planner/stopped.h"
#include "cli/planner/study_options.h"
#include "cli/verbs.h"
#include "replanning/results.h"
#include "replanning/summary.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using replanning::Design;
using replanning::PolicySummary;

constexpr int kRoundsMax = 100'000;
constexpr std::size_t kPoliciesMax = 9;  // One to compare with, and eight colours.

struct Arguments {
  Design design;
  std::string seeds = "1..10";
  std::vector<std::string> policies;  // Empty: those that the delay mode has.
  std::string trace;
  bool fading_once = false;
  std::string out;
  int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool json = false;
};

Expected<Design> DesignOf(const Arguments& arguments) {
  Design design = arguments.design;
  design.world.fading_anew = !arguments.fading_once;
  auto seeds = sweep::ParseSeeds(arguments.seeds);
  if (!seeds) return tl::unexpected(seeds.error());
  design.seeds = std::move(*seeds);
  if (arguments.policies.size() > kPoliciesMax) {
    return Fail(ErrorKind::kUsage,
                "--policies",
                fmt::format("must be at most {}, are {}", kPoliciesMax, arguments.policies.size()));
  }
  std::vector<std::string> policies = arguments.policies;
  if (policies.empty()) {
    policies = design.world.study.options.delay == DelayMode::kSum
                   ? std::vector<std::string>{"afresh", "standing", "penalty=0.01", "never"}
                   : std::vector<std::string>{"afresh", "never"};
  }
  for (const std::string& text : policies) {
    auto policy = replanning::ParsePolicy(text);
    if (!policy) return tl::unexpected(policy.error());
    design.policies.push_back(std::move(*policy));
  }
  if (!arguments.trace.empty()) {
    auto trace = replanning::ReadTrace(arguments.trace);
    if (!trace) return tl::unexpected(trace.error());
    design.world.trace = std::move(*trace);
  }
  if (auto sound = design.Validate(); !sound) return tl::unexpected(sound.error());
  return design;
}

Expected<void> WriteFiles(const Design& design,
                          const std::vector<PolicySummary>& rows,
                          const fs::path& out) {
  const std::pair<const char*, std::string> files[] = {{"summary.csv", SummaryCsv(rows)},
                                                       {"report.md", RoundsReport(design, rows)},
                                                       {"rounds.svg", RoundsSvg(design, rows)}};
  for (const auto& [name, bytes] : files) {
    if (bytes.empty()) continue;  // No figure of one policy alone.
    if (auto written = WriteFileAtomically(out / name, bytes); !written) return written;
  }
  return {};
}

Expected<int> RunRounds(const Arguments& arguments) {
  const auto design = DesignOf(arguments);
  if (!design) return tl::unexpected(design.error());
  const fs::path out = arguments.out;
  auto results = replanning::Results::Open(out / "results.jsonl", *design);
  if (!results) return tl::unexpected(results.error());
  SayWhenStopped("stopped; the same command goes on from the results that there are");
  const Stopwatch watch;
  const auto say = [&](std::size_t done, std::size_t of, const replanning::Job& job) {
    const std::string& failure = results->Find(job)->failure;
    fmt::print(stderr,
               "[{:7.1f} s] {} of {}: seed {}, {}{}\n",
               watch.ElapsedS(),
               done,
               of,
               job.seed,
               job.policy,
               failure.empty() ? "" : ": " + failure);
  };
  const auto worked = replanning::WorkOff(*design, arguments.jobs, say, &*results);
  if (!worked) return tl::unexpected(worked.error());
  const std::vector<PolicySummary> rows = Summarise(*design, *results);
  if (auto written = WriteFiles(*design, rows, out); !written) {
    return tl::unexpected(written.error());
  }
  if (arguments.json) {
    fmt::print("{}",
               DumpRows({{"confidence", replanning::kConfidence}, {"rows", SummaryJson(rows)}}));
  } else {
    fmt::print("{}", RoundsReport(*design, rows));
  }
  fmt::print(stderr, "results are in {}\n", out.string());
  const bool failed = std::ranges::any_of(rows, [](const auto& row) { return row.failed > 0; });
  return failed ? kExitJobsFailed : kExitOk;
}

void AddWorldOptions(Command verb, Arguments* arguments) {
  replanning::WorldSettings& world = arguments->design.world;
  verb.add_option("--rounds", world.rounds, "Rounds of each seed")
      .check(Range(1, kRoundsMax))
      .capture_default_str();
  verb.add_option("--round-s", world.walk.round_s, "From one round's begin to the next one's")
      .check(FinitePositive())
      .capture_default_str();
  Option slowest = verb.add_option("--speed-min-m-per-s",
                                   world.walk.speed_m_per_s_min,
                                   "Users' slowest way, random waypoint in the study's square");
  slowest.check(FiniteNonNegative()).capture_default_str();
  Option fastest = verb.add_option("--speed-max-m-per-s",
                                   world.walk.speed_m_per_s_max,
                                   "Their fastest way; both 0: nobody moves");
  fastest.check(FiniteNonNegative()).capture_default_str();
  verb.add_option("--trace", arguments->trace, "CSV file of places instead: round,user,x_m,y_m")
      .excludes(slowest)
      .excludes(fastest);
  verb.add_flag("--fading-once",
                arguments->fading_once,
                "Links keep the fade of the first round, instead of one anew each round");
  verb.add_option("--data-spread",
                  world.data_spread,
                  "S: a user's data of a round are its mean times a draw from [1 - S, 1 + S]")
      .check(Within(0.0, 1.0))
      .capture_default_str();
  const struct {
    const char* name;
    double* value;
    const char* help;
  } probabilities[] = {
      {"--leave", &world.users.away, "Probability that a user is away in the next round"},
      {"--join", &world.users.back, "Probability that one who is away comes back"},
      {"--fail", &world.servers.away, "Probability that a server is down in the next round"},
      {"--repair", &world.servers.back, "Probability that one that is down comes back"}};
  for (const auto& [name, value, help] : probabilities) {
    verb.add_option(name, *value, help).check(Within(0.0, 1.0)).capture_default_str();
  }
}

constexpr const char* kFooter =
    R"(Every policy meets the same worlds: users who move, come and go and have data to train on, servers
that fail and come back. Policies:
  afresh          each round is planned as if there had been none before
  standing        the search starts from the plan before (dashf solve --from)
  penalty=SCORE   the same, and a handover must bring so much score
  never           association and splits of the first plan are kept; who comes or loses its server
                  gets the cheapest place, and shares are the best for that
What the others lose is compared with the first one. docs/rounds.md says what is drawn how, and what
was found.

Writes results.jsonl (a line per seed and policy, at once), summary.csv, report.md and rounds.svg.
Called again it goes on from there, also with more seeds or policies. Exit 7 if a policy gave no plan
for some world.

Examples:
  dashf study rounds --out runs/rounds
  dashf study rounds --seeds 1..3 --rounds 20 --policies afresh,standing,never --gaps --out runs/few
  dashf study rounds --users 3 --servers 2 --rounds 10 --trace places.csv --out runs/trace)";

}  // namespace

void AddStudy(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command study = app.add_subcommand(
      "study",
      "Measure what a split costs in quality, and what planning anew is worth over rounds");
  study.require_subcommand();
  study.footer("Examples:\n  dashf study rounds --out runs/rounds");
  ListEngineSubcommands(study, "study");
  Command verb = study.add_subcommand(
      "rounds",
      "Planning anew, from the standing plan or never, over rounds in a world that changes");
  verb.add_option("--out", arguments->out, "Folder; what it has of this study is not done again")
      .required();
  verb.add_option("--policies", arguments->policies, "Comma-separated, see below")
      .delimiter(',')
      .default_str("afresh,standing,penalty=0.01,never; makespan: afresh,never");
  verb.add_option("--seeds", arguments->seeds, "FIRST..LAST, or a list: a world for each")
      .capture_default_str();
  AddWorldOptions(verb, arguments.get());
  AddUsersOption(verb, &arguments->design.world.study);
  AddStudyOptions(verb, &arguments->design.world.study);
  replanning::Planning& planning = arguments->design.planning;
  verb.add_option("--gap-target", planning.gap_target, "As in solve")
      .check(Within(0.0, 1.0))
      .capture_default_str();
  verb.add_flag("--gaps", planning.gaps, "Prove a bound for every plan");
  verb.add_option(
          "--jobs", arguments->jobs, "Worlds at once, one thread each [the machine's cores]")
      .check(Range(1, 1024));
  verb.add_flag("--json", arguments->json, "Write one JSON object instead of the report");
  verb.footer(kFooter);
  verb.callback([arguments, &run] { run = [arguments] { return RunRounds(*arguments); }; });
}

}  // namespace dashf::cli
