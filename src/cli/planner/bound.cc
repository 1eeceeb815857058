// dashf bound: how far any plan is from the best there can be, proven, whoever made the plan.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "certificate/verification.h"
#include "cli/command.h"
#include "cli/planner/out_file.h"
#include "problem/plan_io.h"
#include "solvers/method.h"

namespace dashf::cli {
namespace {

struct Arguments {
  std::string scenario, plan, out;
  solvers::SolveOptions options;
  bool json = false;
};

Expected<Certificate> FindBound(const Scenario& scenario, const solvers::SolveOptions& options) {
  const auto solved = solvers::FindMethod("prices")->solve(scenario, options);
  if (!solved) return tl::unexpected(solved.error());
  if (!solved->certificate) {
    return Fail(ErrorKind::kNumerical, "bound", "no prices were found to prove a bound from");
  }
  return certificate::RaiseToProof(scenario, *solved->certificate, options.threads);
}

Expected<int> RunBound(const Arguments& arguments) {
  if (auto fits = CheckOut(arguments.out, {arguments.scenario, arguments.plan}); !fits) {
    return tl::unexpected(fits.error());
  }
  const auto loaded = ReadScenario(arguments.scenario);
  if (!loaded) return tl::unexpected(loaded.error());
  auto document = ReadPlan(arguments.plan, *loaded);
  if (!document) return tl::unexpected(document.error());
  const Evaluation evaluation = Evaluate(loaded->scenario, document->plan);
  if (!evaluation.feasible) {
    const Violation& first = evaluation.violations.front();
    return Fail(ErrorKind::kInfeasible,
                arguments.plan + ": " + first.where,
                "breaks a limit: " + first.rule);
  }
  auto proven = FindBound(loaded->scenario, arguments.options);
  if (!proven) return tl::unexpected(proven.error());
  document->scenario_sha256 = loaded->sha256;  // A plan made elsewhere may name none.
  document->certificate = std::move(*proven);
  document->scr_upper = document->certificate->scr_upper;
  const auto written = WriteFileAtomically(arguments.out, WritePlan(loaded->scenario, *document));
  if (!written) return tl::unexpected(written.error());
  const PlanStatus status = StatusOf(*document, evaluation);
  if (arguments.json) {
    fmt::print("{}",
               DumpRows({{"method", document->method},
                         {"scr", evaluation.scr},
                         {"scr_upper", *status.scr_upper},
                         {"gap", *status.gap}}));
  } else {
    fmt::print(
        "proven: no plan has an scr above {:.9g}; this one, by {}, has {:.9g}, gap {:.2g} %\n",
        *status.scr_upper,
        document->method,
        evaluation.scr,
        100.0 * *status.gap);
  }
  return kExitOk;
}

}  // namespace

void AddBound(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("bound", "Prove how far a plan is from the best, whoever made it");
  solvers::SolveOptions& options = arguments->options;
  options.wants_bound = true;
  options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  verb->add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file")->required();
  verb->add_option("PLAN", arguments->plan, "dashf.plan/1 file; must be feasible")->required();
  verb->add_option("--gap-target",
                   options.gap_target,
                   "The search ends with a bound within this share of the best plan it knows")
      ->check(Within(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--time-limit-s", options.time_limit_s, "Prove what the search has by then")
      ->check(Positive());
  verb->add_option("--threads", options.threads, "Same bound with any number")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--out", arguments->out, "Where the plan with its bound goes")->required();
  verb->add_flag("--json", arguments->json, "Write one JSON object instead of a sentence");
  verb->footer(
      "The plan may be of any method, or of another program: the bound does not depend on it.\n"
      "Examples:\n"
      "  dashf solve scenario.json --method dashf --out plan.json\n"
      "  dashf bound scenario.json plan.json --out certified.json\n"
      "  dashf verify scenario.json certified.json\n"
      "  dashf bound scenario.json mine.json --time-limit-s 60 --out certified.json --json");
  verb->callback([arguments, &run] { run = [arguments] { return RunBound(*arguments); }; });
}

}  // namespace dashf::cli
