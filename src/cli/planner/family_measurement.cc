#include "cli/planner/family_measurement.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <functional>
#include <optional>
#include <utility>

#include "certificate/verification.h"
#include "problem/evaluation.h"

namespace dashf::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

double ProcessorS() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

struct ChildOutcome {
  std::string output, error;
  double peak_mib = 0.0;
};

std::string ReadAll(int descriptor) {
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t count = ::read(descriptor, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

void WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno != EINTR) return;
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
}

// What `work` returns, from a process of its own.
ChildOutcome InChild(const std::function<std::string()>& work) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return {"", std::strerror(errno)};
  const pid_t child = ::fork();
  if (child < 0) return {"", std::strerror(errno)};
  if (child == 0) {
    ::close(ends[0]);
    WriteAll(ends[1], work());
    ::_exit(0);
  }
  ::close(ends[1]);
  ChildOutcome outcome{.output = ReadAll(ends[0]), .error = ""};
  ::close(ends[0]);
  int status = 0;
  rusage usage{};
  while (::wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  outcome.peak_mib = static_cast<double>(usage.ru_maxrss) / 1024.0;
  if (WIFSIGNALED(status)) {
    outcome.error = fmt::format("ended by signal {}", WTERMSIG(status));
  } else if (outcome.output.empty()) {
    outcome.error = fmt::format("ended with exit {}", WEXITSTATUS(status));
  }
  return outcome;
}

std::string RunDefault(const Scenario& scenario, const FamilyEffort& effort) {
  FamilyMeasurement measured;
  const double start_s = ProcessorS();
  const auto solved = solvers::FindMethod("prices")->solve(scenario, effort.options);
  const double solved_s = ProcessorS();
  measured.solve_s = solved_s - start_s;
  if (!solved) {
    measured.error = solved.error().Text();
    return measured.Json().dump();
  }
  const Evaluation evaluation = Evaluate(scenario, solved->plan);
  if (!evaluation.feasible) {
    measured.error = "the plan breaks a limit: " + evaluation.violations.front().rule;
    return measured.Json().dump();
  }
  measured.scr = evaluation.scr;
  if (solved->certificate) {
    measured.numerical_bound = solved->certificate->scr_upper;
    const auto proven =
        certificate::RaiseToProof(scenario, *solved->certificate, effort.options.threads);
    if (proven) measured.proven_bound = proven->scr_upper;
    measured.prove_s = ProcessorS() - solved_s;
  }
  return measured.Json().dump();
}

std::string RunBaselines(const Scenario& scenario, const FamilyEffort& effort) {
  FamilyMeasurement measured;
  for (const std::string& name : effort.baselines) {
    FamilyMeasurement::Baseline baseline{.method = name, .note = ""};
    const double start_s = ProcessorS();
    const auto solved = solvers::FindMethod(name)->solve(
        scenario, {.time_limit_s = effort.baseline_limit_s, .gap_target = 0.0, .on_iteration = {}});
    baseline.processor_s = ProcessorS() - start_s;
    if (!solved) {
      baseline.note = solved.error().Text();
    } else if (const Evaluation evaluation = Evaluate(scenario, solved->plan);
               !evaluation.feasible) {
      baseline.note = "breaks a limit: " + evaluation.violations.front().rule;
    } else {
      baseline.scr = evaluation.scr;
    }
    measured.baselines.push_back(std::move(baseline));
  }
  return measured.Json().dump();
}

}  // namespace

double FamilyMeasurement::BestScr() const {
  double best = scr;
  for (const Baseline& baseline : baselines) best = std::max(best, baseline.scr);
  return best;
}

std::vector<std::string> FamilyMeasurement::Broken(double gap_target) const {
  constexpr double kOfNumericalBound = 1e-7, kOfProof = 1e-12;
  std::vector<std::string> broken;
  if (!error.empty()) broken.push_back("prices has no plan: " + error);
  for (const Baseline& baseline : baselines) {
    if (baseline.scr * (1.0 - gap_target) > scr) {
      broken.push_back(fmt::format("prices ends at {:.9g}, {} at {:.9g} ({:.3f} % more)",
                                   scr,
                                   baseline.method,
                                   baseline.scr,
                                   100.0 * (baseline.scr / scr - 1.0)));
    }
    if (baseline.note.starts_with("breaks")) {
      broken.push_back(fmt::format("{} {}", baseline.method, baseline.note));
    }
  }
  const double best = BestScr();
  if (numerical_bound > 0.0 && numerical_bound < best * (1.0 - kOfNumericalBound)) {
    broken.push_back(fmt::format(
        "the numerical bound {:.12g} lies below a plan, {:.12g}", numerical_bound, best));
  }
  if (proven_bound > 0.0 && proven_bound < best * (1.0 - kOfProof)) {
    broken.push_back(
        fmt::format("the proven bound {:.15g} lies below a plan, {:.15g}", proven_bound, best));
  }
  return broken;
}

ordered_json FamilyMeasurement::Json() const {
  ordered_json list = ordered_json::array();
  for (const Baseline& baseline : baselines) {
    list.push_back({{"method", baseline.method},
                    {"scr", baseline.scr},
                    {"processor_s", baseline.processor_s},
                    {"note", baseline.note}});
  }
  return {{"error", error},
          {"scr", scr},
          {"numerical_bound", numerical_bound},
          {"proven_bound", proven_bound},
          {"solve_s", solve_s},
          {"prove_s", prove_s},
          {"peak_mib", peak_mib},
          {"baselines", std::move(list)}};
}

Expected<FamilyMeasurement> FamilyMeasurement::Parse(const std::string& place, const json& row) {
  FamilyMeasurement measured;
  try {
    measured.error = row.at("error").get<std::string>();
    measured.scr = row.at("scr").get<double>();
    measured.numerical_bound = row.at("numerical_bound").get<double>();
    measured.proven_bound = row.at("proven_bound").get<double>();
    measured.solve_s = row.at("solve_s").get<double>();
    measured.prove_s = row.at("prove_s").get<double>();
    measured.peak_mib = row.at("peak_mib").get<double>();
    for (const json& one : row.at("baselines")) {
      measured.baselines.push_back({one.at("method").get<std::string>(),
                                    one.at("scr").get<double>(),
                                    one.at("processor_s").get<double>(),
                                    one.at("note").get<std::string>()});
    }
  } catch (const json::exception& failed) {
    return Fail(ErrorKind::kBadInput, place, failed.what());
  }
  return measured;
}

FamilyMeasurement MeasureFamily(const Scenario& scenario, const FamilyEffort& effort) {
  const ChildOutcome own = InChild([&] { return RunDefault(scenario, effort); });
  const ChildOutcome others = InChild([&] { return RunBaselines(scenario, effort); });
  FamilyMeasurement measured;
  if (own.error.empty()) {
    measured = *FamilyMeasurement::Parse("child", json::parse(own.output));
  } else {
    measured.error = own.error;
  }
  measured.peak_mib = own.peak_mib;
  if (others.error.empty()) {
    measured.baselines = FamilyMeasurement::Parse("child", json::parse(others.output))->baselines;
  } else {
    measured.baselines = {{.method = "baselines", .note = "breaks off: " + others.error}};
  }
  return measured;
}

}  // namespace dashf::cli
