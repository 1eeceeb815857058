// A method's log while it runs: rows for the callback and the history, and the time left.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "solvers/method.h"

namespace dashf::solvers {

// The clock starts with the log; `options` must outlive it.
class Log {
 public:
  explicit Log(const SolveOptions& options) : options_(options) {}
  void Add(double scr, double residual, std::string step) {
    IterationRecord record{
        static_cast<int>(history_.size()) + 1, scr, residual, watch_.MeasuredS(), std::move(step)};
    if (options_.on_iteration) options_.on_iteration(record);
    history_.push_back(std::move(record));
  }
  double TimeLeftS() const { return options_.time_limit_s - watch_.ElapsedS(); }
  SolveResult Finish(Plan plan, Termination termination) {
    return {.plan = std::move(plan), .termination = termination, .history = std::move(history_)};
  }

 private:
  const SolveOptions& options_;
  Stopwatch watch_;
  std::vector<IterationRecord> history_;
};

}  // namespace dashf::solvers
