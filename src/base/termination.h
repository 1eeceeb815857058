// When an iteration stops, and what one iteration reports. Stopping is a pure function; a reason
// other than kConverged is data, not an error.
#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace dashf {

// From here on a time limit is none; but below infinity StopSearches() still ends the search.
inline constexpr double kNeverS = 1e9;

using StopInstant = std::chrono::steady_clock::rep;
inline std::atomic<StopInstant> stopped_at{std::numeric_limits<StopInstant>::min()};
static_assert(decltype(stopped_at)::is_always_lock_free);  // A signal handler may write it.

// What is under way in this process, on any thread, ends as if its time limit were over.
inline void StopSearches() {
  stopped_at = std::chrono::steady_clock::now().time_since_epoch().count();
}

// A stop of some searches alone: of what is under way on threads where it is in force.
struct OwnStop {
  std::atomic<StopInstant> at{std::numeric_limits<StopInstant>::min()};
  const OwnStop* around = nullptr;  // Holds here, too, and lives as long.

  void Stop() { at = std::chrono::steady_clock::now().time_since_epoch().count(); }
  bool Stopped() const { return at != std::numeric_limits<StopInstant>::min(); }
};
// This thread's; ParallelFor() (parallel.h) hands it to those that it starts.
inline constinit thread_local const OwnStop* stop_in_force = nullptr;

inline bool StoppedSince(std::chrono::steady_clock::time_point start) {
  const StopInstant began = start.time_since_epoch().count();
  if (began <= stopped_at.load(std::memory_order_relaxed)) return true;
  for (const OwnStop* stop = stop_in_force; stop != nullptr; stop = stop->around) {
    if (began <= stop->at.load(std::memory_order_relaxed)) return true;
  }
  return false;
}

class Stopwatch {
 public:
  // For comparison with limits: infinite where a stop came since the start.
  double ElapsedS() const {
    return StoppedSince(start_) ? std::numeric_limits<double>::infinity() : MeasuredS();
  }
  double MeasuredS() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

enum class Termination { kConverged, kStalled, kIterationLimit, kTimeLimit, kNumericalError };

constexpr std::string_view Name(Termination reason) {
  switch (reason) {
    case Termination::kConverged:
      return "converged";
    case Termination::kStalled:
      return "stalled";
    case Termination::kIterationLimit:
      return "iteration_limit";
    case Termination::kTimeLimit:
      return "time_limit";
    case Termination::kNumericalError:
      return "numerical_error";
  }
  return "unknown";
}

// What a plan is, whatever ended the search for it.
enum class PrimalStatus { kNoSolution, kInfeasiblePoint, kFeasiblePoint };

constexpr std::string_view Name(PrimalStatus primal) {
  switch (primal) {
    case PrimalStatus::kNoSolution:
      return "no_solution";
    case PrimalStatus::kInfeasiblePoint:
      return "infeasible_point";
    case PrimalStatus::kFeasiblePoint:
      return "feasible_point";
  }
  return "unknown";
}

// What is known of an upper bound on the objective: nothing, a number found in floating point, or
// one with a proof that anyone can re-check.
enum class BoundStatus { kNone, kNumerical, kProven };

constexpr std::string_view Name(BoundStatus bound) {
  switch (bound) {
    case BoundStatus::kNone:
      return "none";
    case BoundStatus::kNumerical:
      return "numerical";
    case BoundStatus::kProven:
      return "proven";
  }
  return "unknown";
}

struct Limits {
  int iterations = 100;
  double elapsed_s = std::numeric_limits<double>::infinity();
  double tolerance = 1e-9;  // Relative to max(1, scale).
};

struct Progress {
  int iterations = 0;
  double elapsed_s = 0.0;
  double residual = 0.0;
  double scale = 0.0;
};

// NaN is looked at first, then success, then the limits.
inline std::optional<Termination> CheckTermination(const Progress& now, const Limits& limits) {
  if (!std::isfinite(now.residual)) return Termination::kNumericalError;
  if (std::abs(now.residual) <= limits.tolerance * std::max(1.0, now.scale)) {
    return Termination::kConverged;
  }
  if (now.iterations >= limits.iterations) return Termination::kIterationLimit;
  if (now.elapsed_s >= limits.elapsed_s) return Termination::kTimeLimit;
  return std::nullopt;
}

// One row of a planner's log: it feeds the callback, the printed table and the plan's history.
struct IterationRecord {
  int iteration = 0;
  double scr = 0.0;       // The incumbent's service-cost ratio.
  double residual = 0.0;  // Dinkelbach's F(y), docs/dashf.md; 0 where a method has none.
  double elapsed_s = 0.0;
  std::string step;  // What the row did: "start", "association", "resources", ...
};
using IterationCallback = std::function<void(const IterationRecord&)>;

}  // namespace dashf
