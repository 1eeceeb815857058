#include "method_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "certificate/verification.h"
#include "problem/evaluation.h"
#include "problem/plan_io.h"
#include "scenario/scenario_io.h"
#include "solvers/method.h"

namespace dashf::planner_fuzz {
namespace {

constexpr double kGapTarget = 1e-4;
constexpr double kMakespanGapTarget = 0.02;  // Of its bound alone, which takes long.
constexpr double kOfNumericalBound = 1e-7, kOfProof = 1e-12;
constexpr double kLimitS = 10.0;  // Far above what most of these take; of proofs, too.
constexpr double kVerifyLimitS = 30.0;

struct Planned {
  std::string method;
  solvers::SolveResult result;
  double scr = 0.0;
};

class Check {
 public:
  Check(const Scenario& scenario, bool bounds_makespan, Announce announce)
      : scenario_(scenario), bounds_makespan_(bounds_makespan), announce_(announce) {}

  Findings Run() {
    for (const solvers::Method& method : solvers::Methods()) {
      auto planned =
          Plan(method, {.time_limit_s = kLimitS, .gap_target = kGapTarget, .on_iteration = {}});
      if (!planned) continue;
      if (planned->scr > best_scr_) {
        best_scr_ = planned->scr;
        best_method_ = planned->method;
      }
      if (method.name == "exhaustive") exhaustive_scr_ = planned->scr;
      if (method.name == "prices") default_ = std::move(*planned);
    }
    if (default_) CheckDefault();
    return std::move(findings_);
  }

 private:
  template <class... Args>
  void Break(fmt::format_string<Args...> rule, Args&&... args) {
    findings_.broken.push_back(fmt::format(rule, std::forward<Args>(args)...));
  }

  std::optional<Planned> Plan(const solvers::Method& method, const solvers::SolveOptions& options) {
    announce_(method.name.data());
    auto solved = method.solve(scenario_, options);
    if (!solved) {
      if (solved.error().kind == ErrorKind::kNumerical || method.name == "prices") {
        Break("{} ends with an error: {}", method.name, solved.error().Text());
      }
      return std::nullopt;
    }
    const Evaluation evaluation = Evaluate(scenario_, solved->plan);
    if (!evaluation.feasible) {
      const Violation& first = evaluation.violations.front();
      Break("{} breaks a limit: {} {}, {:.17g} for {:.17g}",
            method.name,
            first.where,
            first.rule,
            first.value,
            first.limit);
      return std::nullopt;
    }
    return Planned{std::string(method.name), std::move(*solved), evaluation.scr};
  }

  void CheckDefault() {
    if (default_->scr < best_scr_ * (1.0 - kGapTarget)) {
      Break("prices ends at {:.9g}, {} at {:.9g}", default_->scr, best_method_, best_scr_);
    }
    if (exhaustive_scr_) {
      findings_.exhaustive = true;
      findings_.is_best = default_->scr >= *exhaustive_scr_ * (1.0 - kGapTarget);
    }
    const solvers::Method& prices = *solvers::FindMethod("prices");
    const auto hurried =
        Plan(prices, {.time_limit_s = 1e-3, .gap_target = kGapTarget, .on_iteration = {}});
    if (hurried) best_scr_ = std::max(best_scr_, hurried->scr);
    const bool makespan = scenario_.objective.delay == DelayMode::kMakespan;
    if (!makespan || !bounds_makespan_) {
      CheckFiles(Prove(default_->result));
      return;
    }
    const auto bounded = Plan(prices,
                              {.time_limit_s = kLimitS,
                               .gap_target = kMakespanGapTarget,
                               .wants_bound = true,
                               .on_iteration = {}});
    if (!bounded) return;
    best_scr_ = std::max(best_scr_, bounded->scr);
    CheckFiles(Prove(bounded->result));
  }

  std::optional<Certificate> Prove(const solvers::SolveResult& solved) {
    if (!solved.certificate) return std::nullopt;
    const Certificate& claimed = *solved.certificate;
    if (claimed.scr_upper < best_scr_ * (1.0 - kOfNumericalBound)) {
      Break("the numerical bound is {:.12g}, a plan is {:.12g}", claimed.scr_upper, best_scr_);
    }
    announce_("proof");
    auto proven = certificate::RaiseToProof(scenario_, claimed, {1, kLimitS});
    if (!proven) return std::nullopt;
    if (proven->scr_upper < best_scr_ * (1.0 - kOfProof)) {
      Break("the proven bound is {:.15g}, a plan is {:.15g}", proven->scr_upper, best_scr_);
    }
    findings_.proven = true;
    findings_.is_tight = proven->scr_upper <= 1.03 * default_->scr;
    return std::move(*proven);
  }

  // As solve writes them, and evaluate and verify read them.
  void CheckFiles(std::optional<Certificate> proven) {
    announce_("files");
    const std::string text = WriteScenario(scenario_);
    const auto scenario = ParseScenario("scenario", text);
    if (!scenario) {
      Break("its own file is not read: {}", scenario.error().Text());
      return;
    }
    PlanDocument document{.scenario_sha256 = std::string(64, '0'),
                          .method = "prices",
                          .version = "fuzz",
                          .seed = 1,
                          .termination = default_->result.termination,
                          .plan = default_->result.plan,
                          .certificate = std::move(proven),
                          .history = {}};
    const LoadedScenario loaded{*scenario, document.scenario_sha256};
    const auto read = ParsePlan("plan", WritePlan(scenario_, document), loaded);
    if (!read) {
      Break("the plan's own file is not read: {}", read.error().Text());
      return;
    }
    const double scr = Evaluate(loaded.scenario, read->plan).scr;
    if (scr != default_->scr)
      Break("read from its file it is {:.17g}, {:.17g}", scr, default_->scr);
    if (!read->certificate) return;
    announce_("verify");
    const auto verdict =
        certificate::SafeUpperBound(loaded.scenario, *read->certificate, {1, kVerifyLimitS});
    if (!verdict) Break("the certificate's own file is refused: {}", verdict.error().Text());
    if (verdict && !verdict->proven && verdict->in_time)
      Break("what was proven is not: {}", verdict->reason);
  }

  const Scenario& scenario_;
  const bool bounds_makespan_;
  const Announce announce_;
  Findings findings_;
  double best_scr_ = 0.0;
  std::string best_method_;
  std::optional<double> exhaustive_scr_;
  std::optional<Planned> default_;
};

}  // namespace

Findings CheckMethods(const Scenario& scenario, bool bounds_makespan, Announce announce) {
  return Check(scenario, bounds_makespan, announce).Run();
}

}  // namespace dashf::planner_fuzz
