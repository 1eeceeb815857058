// dashf verify: re-check the upper bound that a plan states, and the plan itself.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>

#include "base/json.h"
#include "certificate/verification.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "problem/evaluation.h"
#include "problem/plan_io.h"
#include "scenario/scenario_io.h"

namespace dashf::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::string scenario;
  std::string plan;
  int threads = 0;
  double time_limit_s = std::numeric_limits<double>::infinity();
  bool json = false;
};

std::string JsonText(const Scenario& scenario,
                     double scr,
                     double scr_upper,
                     const certificate::Verdict& verdict) {
  ordered_json boxes = ordered_json::array();
  for (const certificate::BoxVerdict& box : verdict.boxes) {
    // A box that no plan can meet has no largest excess: null.
    boxes.push_back(
        {{"excess", std::isfinite(box.excess) ? ordered_json(box.excess) : ordered_json(nullptr)},
         {"user", scenario.users[static_cast<std::size_t>(box.user)].id}});
  }
  return DumpRows({{"proven", verdict.proven},
                   {"scr", scr},
                   {"scr_upper", scr_upper},
                   {"gap", (scr_upper - scr) / scr_upper},
                   {"boxes", boxes}});
}

Expected<int> RunVerify(const Arguments& arguments) {
  const auto loaded = ReadScenario(arguments.scenario);
  if (!loaded) return tl::unexpected(loaded.error());
  const Scenario& scenario = loaded->scenario;
  const auto document = ReadPlan(arguments.plan, *loaded);
  if (!document) return tl::unexpected(document.error());
  const Evaluation evaluation = Evaluate(scenario, document->plan);
  if (!evaluation.feasible) {
    const Violation& first = evaluation.violations.front();
    return Fail(
        ErrorKind::kInfeasible,
        arguments.plan + ": " + first.where,
        fmt::format("{} (value {:.12g}, limit {:.12g})", first.rule, first.value, first.limit));
  }
  if (!document->certificate) {
    return Fail(ErrorKind::kBadInput,
                arguments.plan + ": bound",
                "must be a certificate, got null: the plan states no bound");
  }
  const int threads = arguments.threads > 0
                          ? arguments.threads
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const auto verdict = certificate::SafeUpperBound(
      scenario, *document->certificate, {threads, arguments.time_limit_s});
  if (!verdict) {
    return Fail(verdict.error().kind,
                arguments.plan + ": " + verdict.error().where,
                verdict.error().message);
  }
  if (!verdict->in_time) {
    fmt::print(stderr, "{}: bound.certificate: {}\n", arguments.plan, verdict->reason);
    return kExitLimitHit;
  }
  if (!verdict->proven) {
    return Fail(ErrorKind::kBadInput, arguments.plan + ": bound.certificate", verdict->reason);
  }
  const double scr_upper = document->certificate->scr_upper;
  if (evaluation.scr > scr_upper * (1.0 + 1e-12)) {
    return Fail(ErrorKind::kNumerical,
                arguments.plan,
                fmt::format("the plan's scr {:.17g} exceeds a bound that was proven: please report",
                            evaluation.scr));
  }
  if (arguments.json) {
    fmt::print("{}", JsonText(scenario, evaluation.scr, scr_upper, *verdict));
  } else {
    fmt::print("proven: no plan has an scr above {:.9g}; this one has {:.9g}, gap {:.4f} %\n",
               scr_upper,
               evaluation.scr,
               100.0 * (scr_upper - evaluation.scr) / scr_upper);
  }
  return kExitOk;
}

}  // namespace

void AddVerify(Command app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb = app.add_subcommand(
      "verify", "Re-check a plan and prove, or refuse, the upper bound on the SCR that it states");
  verb.add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file").required();
  verb.add_option("PLAN", arguments->plan, "dashf.plan/1 file with a bound").required();
  verb.add_option("--threads", arguments->threads, "Default: one per processor; same result")
      .check(Range(1, 1024));
  verb.add_option("--time-limit-s",
                  arguments->time_limit_s,
                  "Give up by then, with exit 5: neither proven nor refused")
      .check(TimeLimit());
  verb.add_flag("--json", arguments->json, "Write one JSON object instead of a line");
  verb.footer(
      "The plan is evaluated and its certificate's bound re-computed with outward rounding; "
      "nothing\n"
      "stated in the file is believed. Exit 0: both hold. 3: the file breaks a rule, states no "
      "bound,\n"
      "or its certificate does not prove the bound. 4: the plan breaks a limit. 5: "
      "--time-limit-s.\n"
      "Examples:\n"
      "  dashf verify scenario.json plan.json\n"
      "  dashf verify scenario.json plan.json --json | jq .gap");
  verb.callback([arguments, &run] { run = [arguments] { return RunVerify(*arguments); }; });
}

}  // namespace dashf::cli
