// Planning, and the proofs of bounds.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/confidence_interval.h"
#include "bindings.h"
#include "certificate/best_bound.h"
#include "certificate/verification.h"
#include "errors.h"
#include "held_plan.h"
#include "interruption.h"
#include "problem/standing_plan.h"
#include "solvers/method.h"

namespace nb = nanobind;

namespace dashf::python {
namespace {

// None, but one that a stop ends.
constexpr double kEndlessS = 1e300;
static_assert(kEndlessS >= kNeverS);

struct Request {
  std::string method;
  solvers::SolveOptions options;
  bool certify = false;
};

const solvers::Method& MethodNamed(const std::string& name) {
  if (const auto* method = solvers::FindMethod(name)) return *method;
  std::string known;
  for (const auto& method : solvers::Methods()) {
    known += (known.empty() ? "" : ", ") + std::string(method.name);
  }
  Raise({ErrorKind::kUsage, "method", "must be a function or one of " + known + ", got " + name});
}

NamedPlan WithIds(const HeldPlan& plan) {
  const Scenario& scenario = plan.scenario->scenario();
  NamedPlan named;
  for (const User& user : scenario.users) named.users.push_back(user.id);
  for (const Server& server : scenario.servers) named.servers.push_back(server.id);
  named.document.plan = plan.document.plan;
  named.document.prices = plan.document.prices;
  return named;
}

[[noreturn]] void RaiseInterrupt() {
  PyErr_SetNone(PyExc_KeyboardInterrupt);
  throw nb::python_error();
}

IterationCallback CallbackOf(const nb::object& function) {
  if (function.is_none()) return {};
  return [called = nb::handle(function)](const IterationRecord& row) {
    const nb::gil_scoped_acquire lock;
    called(nb::make_tuple(row.iteration, row.scr, row.residual, row.elapsed_s, row.step));
  };
}

// What the search found, and whether Ctrl-C ended it.
std::pair<solvers::SolveResult, bool> Search(const Scenario& scenario, const Request& request) {
  OrRaise(Validate(scenario));
  const solvers::Method& method = MethodNamed(request.method);
  if (request.options.from != nullptr && !solvers::StartsFromPlan(method, scenario)) {
    Raise({ErrorKind::kUsage, "start", "needs method prices and the sum of delays"});
  }
  Expected<solvers::SolveResult> solved;
  const bool interrupted =
      RunInterruptibly([&] { solved = method.solve(scenario, request.options); });
  if (!solved && interrupted) RaiseInterrupt();
  return {OrRaise(std::move(solved)), interrupted};
}

// Proves the bound that the search found into the document; nothing where that fails. Whether
// Ctrl-C ended it.
bool Prove(const Scenario& scenario,
           const Certificate& found,
           const certificate::Effort& effort,
           PlanDocument* document) {
  return RunInterruptibly([&] {
    if (auto proven = certificate::RaiseToProof(scenario, found, effort)) {
      document->certificate = std::move(*proven);
    }
  });
}

PlanPointer Solve(const ScenarioPointer& held,
                  const std::string& method,
                  std::uint64_t seed,
                  std::optional<double> gap_target,
                  std::optional<double> time_limit_s,
                  bool certify,
                  int threads,
                  const std::shared_ptr<HeldPlan>& start,
                  double handover_penalty,
                  const nb::object& on_iteration) {
  const Scenario& scenario = held->scenario();
  Request request{.method = method,
                  .options = {.seed = seed,
                              .time_limit_s = time_limit_s.value_or(kEndlessS),
                              .wants_bound = certify || gap_target.has_value(),
                              .threads = threads,
                              .on_iteration = CallbackOf(on_iteration),
                              .handover_penalty = handover_penalty},
                  .certify = certify};
  if (gap_target) request.options.gap_target = *gap_target;
  if (certify && time_limit_s) request.options.time_limit_s *= certificate::kSearchShare;
  if (certify && MethodNamed(method).name != "prices") {
    Raise({ErrorKind::kUsage,
           "certify",
           "is of method prices, got " + method + ": Plan.bound() proves a bound for any plan"});
  }
  std::optional<StandingPlan> standing;
  if (start) {
    standing = OrRaise(MatchPlan(WithIds(*start), scenario));
    request.options.from = &*standing;
  }
  const Stopwatch watch;
  auto [solved, search_interrupted] = Search(scenario, request);
  const double elapsed_s = watch.MeasuredS();
  PlanDocument document{.scenario_sha256 = "",  // Found where it is written.
                        .method = method,
                        .version = DASHF_VERSION,
                        .seed = seed,
                        .termination = solved.termination,
                        .plan = std::move(solved.plan),
                        .prices = solvers::PricesOf(scenario, solved),
                        .history = std::move(solved.history)};
  if (solved.certificate) document.scr_upper = solved.certificate->scr_upper;
  bool interrupted = search_interrupted;
  if (certify && !interrupted && solved.certificate) {
    const certificate::Effort effort(threads, time_limit_s.value_or(kEndlessS) - elapsed_s);
    interrupted = Prove(scenario, *solved.certificate, effort, &document);
  }
  auto plan = std::make_shared<HeldPlan>(held, std::move(document));
  plan->search_interrupted = search_interrupted;
  plan->interrupted = interrupted;
  plan->elapsed_s = elapsed_s;
  if (!plan->evaluation.feasible) {
    const Violation& first = plan->evaluation.violations.front();
    Raise({ErrorKind::kNumerical, first.where, "the plan breaks a limit: " + first.rule});
  }
  return plan;
}

// The lower of the plan's own bound, where it holds, and one of a new search; the plan with it.
PlanPointer ProveBound(const HeldPlan& plan,
                       double gap_target,
                       std::optional<double> time_limit_s,
                       int threads) {
  const Scenario& scenario = plan.scenario->scenario();
  if (!plan.evaluation.feasible) {
    const Violation& first = plan.evaluation.violations.front();
    Raise({ErrorKind::kInfeasible, first.where, "breaks a limit: " + first.rule});
  }
  OrRaise(Validate(scenario));
  const auto search = [&](double within_s) -> Expected<certificate::FoundPrices> {
    auto solved = solvers::FindMethod("prices")->solve(scenario,
                                                       {.time_limit_s = within_s,
                                                        .gap_target = gap_target,
                                                        .wants_bound = true,
                                                        .threads = threads,
                                                        .on_iteration = {}});
    if (!solved) return tl::unexpected(solved.error());
    return certificate::FoundPrices{std::move(solved->certificate),
                                    solved->termination != Termination::kTimeLimit};
  };
  PlanDocument document = plan.document;
  Expected<certificate::BestBound> found;
  const bool interrupted = RunInterruptibly([&] {
    found = certificate::FindBestBound(
        scenario, document.certificate, search, threads, time_limit_s.value_or(kEndlessS));
  });
  if (!found && interrupted) RaiseInterrupt();
  document.certificate = OrRaise(std::move(found)).certificate;
  if (plan.document.certificate || document.certificate) document.scr_upper.reset();
  auto proven = std::make_shared<HeldPlan>(plan.scenario, std::move(document));
  proven->search_interrupted = plan.search_interrupted;
  proven->interrupted = interrupted;
  proven->elapsed_s = plan.elapsed_s;
  return proven;
}

// Proven, in time, why not.
std::tuple<bool, bool, std::string> Verify(const HeldPlan& plan,
                                           std::optional<double> time_limit_s,
                                           int threads) {
  if (!plan.document.certificate) {
    RaiseBadInput("bound", "must be a certificate, got none: the plan states no proven bound");
  }
  Expected<certificate::Verdict> verdict;
  const bool interrupted = RunInterruptibly([&] {
    verdict = certificate::SafeUpperBound(plan.scenario->scenario(),
                                          *plan.document.certificate,
                                          {threads, time_limit_s.value_or(kEndlessS)});
  });
  if (interrupted) RaiseInterrupt();
  const certificate::Verdict found = OrRaise(std::move(verdict));
  return {found.proven, found.in_time, found.reason};
}

std::vector<std::pair<std::string, std::string>> NamedMethods() {
  std::vector<std::pair<std::string, std::string>> named;
  for (const auto& method : solvers::Methods()) named.emplace_back(method.name, method.summary);
  return named;
}

int Handovers(const HeldPlan& before, const HeldPlan& after) {
  return dashf::Handovers(OrRaise(MatchPlan(WithIds(before), after.scenario->scenario())),
                          after.document.plan);
}

std::pair<double, double> Interval(const std::vector<double>& values, double confidence) {
  const ConfidenceInterval interval = MeanInterval(values, confidence);
  return {interval.mean, interval.half_width};
}

}  // namespace

void BindSolving(nb::module_& module) {
  module.def("solve",
             Solve,
             nb::arg("scenario"),
             nb::arg("method"),
             nb::arg("seed"),
             nb::arg("gap_target").none(),
             nb::arg("time_limit_s").none(),
             nb::arg("certify"),
             nb::arg("threads"),
             nb::arg("start").none(),
             nb::arg("handover_penalty"),
             nb::arg("on_iteration").none());
  module.def("prove_bound", ProveBound);
  module.def("verify", Verify);
  module.def("methods", NamedMethods);
  module.def("handovers", Handovers);
  nb::class_<SharedStop>(module, "SharedStop")
      .def(nb::init<>())
      .def("stop", &SharedStop::Stop)
      .def("obey", &SharedStop::Obey);
  module.def("end_searches", EndSearches);
  nb::module_::import_("atexit").attr("register")(module.attr("end_searches"));
  ForgetThreadsInForks();
  module.def("mean_interval", Interval);
}

}  // namespace dashf::python
