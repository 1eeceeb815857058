// dashf solve: a scenario in, a plan out, one log row per iteration on stderr.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "certificate/best_bound.h"
#include "certificate/verification.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/planner/out_file.h"
#include "problem/plan_io.h"
#include "problem/standing_plan.h"
#include "solvers/method.h"

namespace dashf::cli {
namespace {

struct Arguments {
  std::string scenario;
  std::string method = "prices";
  solvers::SolveOptions options;
  std::string from;
  bool certify = false;
  bool mpi = false;  // Already so: main() chose the program by it.
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

nlohmann::ordered_json TimesJson(const std::optional<solvers::SearchTimes>& times) {
  if (!times) return {};
  const auto step = [](const solvers::StepTimes& one) -> nlohmann::ordered_json {
    return {{"calls", one.calls}, {"reply_s", one.reply_s}, {"sum_s", one.sum_s}};
  };
  return {{"refresh", step(times->refresh)},
          {"sweep", step(times->sweep)},
          {"product", step(times->product)}};
}

nlohmann::ordered_json OrNull(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

void PrintResult(const PlanDocument& document,
                 const Evaluation& evaluation,
                 const solvers::SolveResult& solved,
                 const std::optional<StandingPlan>& standing,
                 double elapsed_s) {
  const PlanStatus status = StatusOf(document, evaluation);
  nlohmann::ordered_json result = {{"method", document.method},
                                   {"seed", document.seed},
                                   {"termination", Name(document.termination)},
                                   {"primal", Name(status.primal)},
                                   {"bound", Name(status.bound)},
                                   {"gap", OrNull(status.gap)},
                                   {"scr", evaluation.scr},
                                   {"scr_upper", OrNull(status.scr_upper)},
                                   {"score", evaluation.score},
                                   {"cost", evaluation.cost},
                                   {"delay_s", evaluation.delay_s},
                                   {"energy_j", evaluation.energy_j},
                                   {"iterations", document.history.size()},
                                   {"elapsed_s", elapsed_s},
                                   {"search", TimesJson(solved.search_times)}};
  if (standing) {
    result["from"] = {{"users_kept", standing->users_kept},
                      {"users_new", standing->users_new},
                      {"users_gone", standing->users_gone},
                      {"users_displaced", standing->users_displaced},
                      {"servers_kept", standing->servers_kept},
                      {"servers_new", standing->servers_new},
                      {"servers_gone", standing->servers_gone},
                      {"handovers", Handovers(*standing, document.plan)}};
  }
  fmt::print("{}", DumpRows(result));
}

void PrintMatch(const StandingPlan& standing) {
  fmt::print(stderr,
             "from: {} users kept ({} without their server), {} new, {} gone; "
             "{} servers kept, {} new, {} gone\n",
             standing.users_kept,
             standing.users_displaced,
             standing.users_new,
             standing.users_gone,
             standing.servers_kept,
             standing.servers_new,
             standing.servers_gone);
}

Expected<Certificate> Certify(const Scenario& scenario,
                              const solvers::SolveResult& solved,
                              const certificate::Effort& effort) {
  if (!solved.certificate) {
    return Fail(
        ErrorKind::kNumerical, "--certify", "the search found no prices to prove a bound from");
  }
  return certificate::RaiseToProof(scenario, *solved.certificate, effort);
}

// What the price search alone can do.
Expected<void> CheckPriceSearch(const Arguments& arguments, const Scenario& scenario) {
  if (arguments.certify && arguments.method != "prices") {
    return Fail(
        ErrorKind::kUsage,
        "--certify",
        fmt::format("method {} finds no prices to prove a bound from; dashf bound proves one "
                    "for any plan",
                    arguments.method));
  }
  if (arguments.options.ranks == nullptr) return {};
  if (arguments.method != "prices") {
    return Fail(ErrorKind::kUsage,
                "--mpi",
                fmt::format("shares out method prices alone, not {}", arguments.method));
  }
  if (scenario.objective.delay == DelayMode::kMakespan) {
    return Fail(ErrorKind::kUsage,
                "--mpi",
                "shares out the plans of total delay (sum) alone; this scenario's is makespan");
  }
  fmt::print(stderr,
             "{} processes, {} threads each\n",
             arguments.options.ranks->count(),
             arguments.options.threads);
  return {};
}

Expected<const solvers::Method*> MethodNamed(const std::string& name) {
  if (const solvers::Method* method = solvers::FindMethod(name)) return method;
  return Fail(ErrorKind::kUsage,
              "--method",
              fmt::format("there is no method \"{}\"; there are\n{}", name, MethodList()));
}

bool LimitHit(const solvers::SolveResult& solved) {
  return solved.termination == Termination::kTimeLimit ||
         solved.termination == Termination::kIterationLimit;
}

// Writes the plan as it is before its proof begins, which may be cut off, and then proves its bound
// into `document` in what is left of the time. False, with the reason on stderr, where none or only
// a rough one could be proven; an error where the plan cannot be written.
Expected<bool> ProveAndWrite(const Arguments& arguments,
                             const LoadedScenario& loaded,
                             const solvers::SolveResult& solved,
                             const Evaluation& evaluation,
                             const Stopwatch& watch,
                             PlanDocument* document) {
  std::error_code failed;
  const auto there = std::filesystem::status(arguments.out, failed).type();
  if (there == std::filesystem::file_type::not_found ||
      there == std::filesystem::file_type::regular) {  // A pipe is given the plan once.
    const auto written = WriteFileAtomically(arguments.out, WritePlan(loaded.scenario, *document));
    if (!written) return tl::unexpected(written.error());
  }
  const certificate::Effort effort(arguments.options.threads,
                                   arguments.options.time_limit_s - watch.ElapsedS());
  auto proven = Certify(loaded.scenario, solved, effort);
  const bool in_time = !effort.TimeIsUp();
  if (!proven) {
    fmt::print(stderr,
               "not proven: {}\n",
               in_time ? proven.error().Text() : "the time limit ended the proof");
    return false;
  }
  document->certificate = std::move(*proven);
  fmt::print(stderr,
             "proven: scr <= {:.9g}, the plan is within {:.3g} of it\n",
             document->certificate->scr_upper,
             1.0 - evaluation.scr / document->certificate->scr_upper);
  if (!in_time) fmt::print(stderr, "the time limit ended the proof before its best bound\n");
  return in_time;
}

Expected<int> RunSolve(const Arguments& arguments) {
  const auto fits_out = CheckOut(arguments.out, {arguments.scenario, arguments.from});
  if (!fits_out) return tl::unexpected(fits_out.error());
  const auto named = MethodNamed(arguments.method);
  if (!named) return tl::unexpected(named.error());
  const solvers::Method* method = *named;
  const auto loaded = ReadScenario(arguments.scenario);
  if (!loaded) return tl::unexpected(loaded.error());
  if (const auto fits = CheckPriceSearch(arguments, loaded->scenario); !fits) {
    return tl::unexpected(fits.error());
  }
  solvers::SolveOptions options = arguments.options;
  options.wants_bound |= arguments.certify;
  if (arguments.certify) options.time_limit_s *= certificate::kSearchShare;
  std::optional<StandingPlan> standing;
  if (!arguments.from.empty()) {
    if (!solvers::StartsFromPlan(*method, loaded->scenario)) {
      return Fail(ErrorKind::kUsage, "--from", "needs method prices and the sum of delays");
    }
    auto read = ReadStandingPlan(arguments.from, loaded->scenario);
    if (!read) return tl::unexpected(read.error());
    standing = std::move(*read);
    options.from = &*standing;
    PrintMatch(*standing);
  }
  PrintHeader();
  const Stopwatch watch;
  const auto solved = method->solve(loaded->scenario, options);
  const double elapsed_s = watch.ElapsedS();
  if (!solved) return tl::unexpected(solved.error());
  const Evaluation evaluation = Evaluate(loaded->scenario, solved->plan);
  if (!evaluation.feasible) {
    const Violation& first = evaluation.violations.front();
    return Fail(ErrorKind::kNumerical, first.where, "the plan breaks a limit: " + first.rule);
  }
  PlanDocument document{.scenario_sha256 = loaded->sha256,
                        .method = arguments.method,
                        .version = DASHF_VERSION,
                        .seed = arguments.options.seed,
                        .termination = solved->termination,
                        .plan = solved->plan,
                        .prices = solvers::PricesOf(loaded->scenario, *solved),
                        .history = solved->history};
  if (solved->certificate) document.scr_upper = solved->certificate->scr_upper;
  bool unproven = false;
  if (arguments.certify) {
    auto proven = ProveAndWrite(arguments, *loaded, *solved, evaluation, watch, &document);
    if (!proven) return tl::unexpected(proven.error());
    unproven = !*proven;
  }
  const auto written = WriteFileAtomically(arguments.out, WritePlan(loaded->scenario, document));
  if (!written) return tl::unexpected(written.error());
  const PlanStatus status = StatusOf(document, evaluation);
  fmt::print(stderr,
             "{}: scr {:.9g}; {}, {}, bound {}{}; {:.3f} s -> {}\n",
             arguments.method,
             evaluation.scr,
             Name(document.termination),
             Name(status.primal),
             Name(status.bound),
             status.gap ? fmt::format(", gap {:.3g}", *status.gap) : "",
             elapsed_s,
             arguments.out);
  if (standing) fmt::print(stderr, "handovers: {}\n", Handovers(*standing, document.plan));
  if (arguments.json) PrintResult(document, evaluation, *solved, standing, elapsed_s);
  return LimitHit(*solved) || unproven ? kExitLimitHit : kExitOk;
}

}  // namespace

void AddSolve(Command app, Run& run, Ranks* ranks) {
  const auto arguments = std::make_shared<Arguments>();
  Command verb = app.add_subcommand(
      "solve", "Plan a scenario: association, splits and resources; exit 5 if a limit was hit");
  verb.add_option("SCENARIO", arguments->scenario, "dashf.scenario/1 file").required();
  verb.add_option("--method", arguments->method, "One of the methods below").capture_default_str();
  solvers::SolveOptions& options = arguments->options;
  options.on_iteration = PrintRow;
  options.ranks = ranks;
  if (ranks == nullptr) {
    options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  }
  verb.add_option("--seed", options.seed, "Same seed, same plan")
      .check(Range(std::uint64_t{0}, std::uint64_t{1} << 62))
      .capture_default_str();
  verb.add_option_function<double>(
          "--gap-target",
          [&options](double target) {
            options.gap_target = target;
            options.wants_bound = true;
          },
          fmt::format("End within this share of the method's own upper bound (prices) [{:g}]; with "
                      "the makespan there is a bound only with this option or --certify",
                      options.gap_target))
      .check(Within(0.0, 1.0));
  verb.add_option("--time-limit-s", options.time_limit_s, "End with the best so far")
      .check(TimeLimit());
  verb.add_option(
          "--threads", options.threads, "Same plan with any number [the machine's; with --mpi 1]")
      .check(Range(1, 1024));
  Option from = verb.add_option("--from",
                                arguments->from,
                                "Go on from this dashf.plan/1, made for any scenario with users of "
                                "the same ids (prices, sum)");
  verb.add_option("--handover-penalty",
                  options.handover_penalty,
                  "Score that the plan must gain per user who leaves the server it has in --from")
      .check(FiniteNonNegative())
      .capture_default_str()
      .needs(from);
  verb.add_flag("--certify",
                arguments->certify,
                "Prove an upper bound on every plan's SCR and write it into the plan (prices)");
#ifdef DASHF_MPI
  verb.add_flag("--mpi",
                arguments->mpi,
                "Share the price search out over the processes that mpirun or srun started "
                "(docs/mpi.md; prices, sum); same plan with any number")
      .disable_flag_override();
#endif
  verb.add_option("--out", arguments->out, "Where the dashf.plan/1 file goes").required();
  verb.add_flag("--json", arguments->json, "Write the outcome as one JSON object to stdout");
  verb.footer("Methods:\n" + MethodList() +
              "Examples:\n"
              "  dashf solve scenario.json --out plan.json\n"
              "  dashf solve scenario.json --method greedy --out greedy.json --json | jq .scr\n"
              "  dashf solve scenario.json --certify --out plan.json && dashf verify scenario.json "
              "plan.json\n"
              "  dashf solve moved.json --from plan.json --handover-penalty 0.01 --out next.json\n"
              "  dashf solve scenario.json --gap-target 0.01 --time-limit-s 60 --out plan.json\n"
              "  dashf solve scenario.json --time-limit-s 2 --out plan.json  # exit 5 at the limit"
#ifdef DASHF_MPI
              "\n"
              "  mpirun -n 4 dashf solve scenario.json --mpi --out plan.json"
#endif
  );
  verb.callback([arguments, &run] { run = [arguments] { return RunSolve(*arguments); }; });
}

}  // namespace dashf::cli
