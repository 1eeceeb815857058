#include "cli/train/progress_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace dashf::cli {

std::string Duration(double seconds) {
  const auto s = std::llround(seconds);
  if (s < 120) return fmt::format("{} s", s);
  if (s < 7200) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
}

void ProgressLines::Show(const train::StepReport& report) {
  losses_ += report.loss;
  ++summed_;
  if (!first_) first_ = report;
  if (report.elapsed_s < next_s_ && report.step < report.steps) return;
  next_s_ = report.elapsed_s + std::max(1.0, 0.02 * report.elapsed_s);
  std::string pace;
  if (report.step > first_->step) {
    const double elapsed_s = report.elapsed_s - first_->elapsed_s;
    pace = fmt::format(
        "  {:.0f} tokens/s  {} left",
        static_cast<double>(report.tokens - first_->tokens) / elapsed_s,
        Duration(elapsed_s / (report.step - first_->step) * (report.steps - report.step)));
  }
  fmt::print(stderr,
             "step {}/{}  loss {:.4f}  rate {:.2e}{}\n",
             report.step,
             report.steps,
             losses_ / summed_,
             report.learning_rate,
             pace);
  losses_ = 0.0;
  summed_ = 0;
}

}  // namespace dashf::cli
