// dashf solve: a scenario in, a plan out, one log row per iteration on stderr.
#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "problem/plan_io.h"
#include "solvers/method.h"

namespace dashf::cli {
namespace {

struct Arguments {
  std::string scenario;
  std::string method = "dashf";
  std::uint64_t seed = 1;
  double time_limit_s = std::numeric_limits<double>::infinity();
  std::string out;
  bool json = false;
};

std::string MethodList() {
  std::string list;
  for (const solvers::Method& method : solvers::Methods()) {
    list += fmt::format("  {:<17} {}\n", method.name, method.summary);
  }
  return list;
}

void PrintHeader() {
  fmt::print(stderr, "{:>5}  {:>15}  {:>10}  {:>9}  step\n", "iter", "scr", "residual", "time (s)");
}

void PrintRow(const IterationRecord& record) {
  fmt::print(stderr,
             "{:>5}  {:>15.9e}  {:>10.2e}  {:>9.3f}  {}\n",
             record.iteration,
             record.scr,
             record.residual,
             record.elapsed_s,
             record.step);
}

void PrintResult(const PlanDocument& document, const Evaluation& evaluation, double elapsed_s) {
  fmt::print("{}",
             DumpRows({{"method", document.method},
                       {"seed", document.seed},
                       {"termination", Name(document.termination)},
                       {"feasible", evaluation.feasible},
                       {"scr", evaluation.scr},
                       {"score", evaluation.score},
                       {"cost", evaluation.cost},
                       {"delay_s", evaluation.delay_s},
                       {"energy_j", evaluation.energy_j},
                       {"iterations", document.history.size()},
                       {"elapsed_s", elapsed_s}}));
}

Expected<int> RunSolve(const Arguments& arguments) {
  const solvers::Method* method = solvers::FindMethod(arguments.method);
  if (method == nullptr) {
    return Fail(
        ErrorKind::kUsage,
        "--method",
        fmt::format("there is no method \"{}\"; there are\n{}", arguments.method, MethodList()));
  }
  const auto loaded = ReadScenario(arguments.scenario);
  if (!loaded) return tl::unexpected(loaded.error());
  PrintHeader();
  const Stopwatch watch;
  const auto solved = method->solve(
      loaded->scenario,
      {.seed = arguments.seed, .time_limit_s = arguments.time_limit_s, .on_iteration = PrintRow});
  const double elapsed_s = watch.ElapsedS();
  if (!solved) return tl::unexpected(solved.error());
  const Evaluation evaluation = Evaluate(loaded->scenario, solved->plan);
  if (!evaluation.feasible) {
    const Violation& first = evaluation.violations.front();
    return Fail(ErrorKind::kNumerical, first.where, "the plan breaks a limit: " + first.rule);
  }
  const PlanDocument document{.scenario_sha256 = loaded->sha256,
                              .method = arguments.method,
                              .version = DASHF_VERSION,
                              .seed = arguments.seed,
                              .termination = solved->termination,
                              .plan = solved->plan,
                              .history = solved->history};
  const auto written = WriteFileAtomically(arguments.out, WritePlan(loaded->scenario, document));
  if (!written) return tl::unexpected(written.error());
  fmt::print(stderr,
             "{}: scr {:.9g}, {}, {:.3f} s -> {}\n",
             arguments.method,
             evaluation.scr,
             Name(solved->termination),
             elapsed_s,
             arguments.out);
  if (arguments.json) PrintResult(document, evaluation, elapsed_s);
  const bool limit_hit = solved->termination == Termination::kTimeLimit ||
                         solved->termination == Termination::kIterationLimit;
  return limit_hit ? kExitLimitHit : kExitOk;
}

}  // namespace

void AddSolve(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "solve", "Plan a scenario: association, splits and resources; exit 5 if a limit was hit");
  verb->add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file")->required();
  verb->add_option("--method", arguments->method, "One of the methods below")
      ->capture_default_str();
  verb->add_option("--seed", arguments->seed, "Same seed, same plan")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 62))
      ->capture_default_str();
  verb->add_option("--time-limit-s", arguments->time_limit_s, "End with the best plan so far")
      ->check(CLI::PositiveNumber);
  verb->add_option("--out", arguments->out, "Where the dashf.plan/1 file goes")->required();
  verb->add_flag("--json", arguments->json, "Write the outcome as one JSON object to stdout");
  verb->footer(
      "Methods:\n" + MethodList() +
      "Examples:\n"
      "  dashf solve scenario.json --out plan.json\n"
      "  dashf solve scenario.json --method greedy --out greedy.json --json | jq .scr\n"
      "  dashf solve scenario.json --time-limit-s 2 --out plan.json  # exit 5 at the limit");
  verb->callback([arguments, &run] { run = [arguments] { return RunSolve(*arguments); }; });
}

}  // namespace dashf::cli
