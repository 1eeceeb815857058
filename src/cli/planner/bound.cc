// dashf bound: how far any plan is from the best there can be, proven, whoever made the plan.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "certificate/best_bound.h"
#include "cli/command.h"
#include "cli/numbers.h"
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

// The lower of the plan's own bound, where it holds, and one of this run's own.
Expected<certificate::BestBound> BestBound(const Scenario& scenario,
                                           const PlanDocument& document,
                                           const solvers::SolveOptions& options) {
  const auto search = [&](double time_limit_s) -> Expected<certificate::FoundPrices> {
    solvers::SolveOptions within = options;
    within.time_limit_s = time_limit_s;
    auto solved = solvers::FindMethod("prices")->solve(scenario, within);
    if (!solved) return tl::unexpected(solved.error());
    return certificate::FoundPrices{std::move(solved->certificate),
                                    solved->termination != Termination::kTimeLimit};
  };
  auto found = certificate::FindBestBound(
      scenario, document.certificate, search, options.threads, options.time_limit_s);
  if (!found) return found;
  if (!found->stated_left_out.empty()) {
    fmt::print(stderr,
               "the plan's own bound of {:.9g} is left out: {}\n",
               document.certificate->scr_upper,
               found->stated_left_out);
  }
  if (found->stated_kept) {
    fmt::print(stderr, "the plan's own bound is kept: this search proved no lower one\n");
  }
  return found;
}

void Print(const Arguments& arguments, const PlanDocument& document, const Evaluation& evaluation) {
  const auto& bound = document.certificate;
  if (arguments.json) {
    nlohmann::ordered_json scr_upper, gap;  // null where nothing is proven.
    if (bound) {
      scr_upper = bound->scr_upper;
      gap = *StatusOf(document, evaluation).gap;
    }
    fmt::print("{}",
               DumpRows({{"method", document.method},
                         {"scr", evaluation.scr},
                         {"scr_upper", scr_upper},
                         {"gap", gap}}));
  } else if (bound) {
    fmt::print(
        "proven: no plan has an scr above {:.9g}; this one, by {}, has {:.9g}, gap {:.2g} %\n",
        bound->scr_upper,
        document.method,
        evaluation.scr,
        100.0 * *StatusOf(document, evaluation).gap);
  }
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
  auto found = BestBound(loaded->scenario, *document, arguments.options);
  if (!found) return tl::unexpected(found.error());
  document->scenario_sha256 = loaded->sha256;  // A plan made elsewhere may name none.
  if (document->certificate || found->certificate) document->scr_upper.reset();
  document->certificate = std::move(found->certificate);
  const auto written = WriteFileAtomically(arguments.out, WritePlan(loaded->scenario, *document));
  if (!written) return tl::unexpected(written.error());
  Print(arguments, *document, evaluation);
  if (found->in_time) return kExitOk;
  fmt::print(stderr,
             "the time limit ended the {}\n",
             document->certificate ? "search for a lower bound"
                                   : "proof: the plan is written without a bound");
  return kExitLimitHit;
}

}  // namespace

void AddBound(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb =
      app.add_subcommand("bound", "Prove how far a plan is from the best, whoever made it");
  solvers::SolveOptions& options = arguments->options;
  options.wants_bound = true;
  options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  verb.add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file").required();
  verb.add_option("PLAN", arguments->plan, "dashf.plan/1 file; must be feasible").required();
  verb.add_option("--gap-target",
                  options.gap_target,
                  "The search ends with a bound within this share of the best plan it knows")
      .check(Within(0.0, 1.0))
      .capture_default_str();
  verb.add_option("--time-limit-s",
                  options.time_limit_s,
                  "End by then with the best bound so far, if any; exit 5")
      .check(TimeLimit());
  verb.add_option("--threads", options.threads, "Same bound with any number").check(Range(1, 1024));
  verb.add_option("--out", arguments->out, "Where the plan with its bound goes").required();
  verb.add_flag("--json", arguments->json, "Write one JSON object instead of a sentence");
  verb.footer(
      "The plan may be of any method, or of another program: the bound does not depend on it.\n"
      "A bound that the plan states already is proven again, and kept where it is the lower one.\n"
      "Examples:\n"
      "  dashf solve scenario.json --method dashf --out plan.json\n"
      "  dashf bound scenario.json plan.json --out certified.json\n"
      "  dashf verify scenario.json certified.json\n"
      "  dashf bound scenario.json mine.json --time-limit-s 60 --out certified.json --json");
  verb.callback([arguments, &run] { run = [arguments] { return RunBound(*arguments); }; });
}

}  // namespace dashf::cli
