#include "train/train_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace dashf::train {
namespace {

constexpr int kStepsMax = 1'000'000'000;

}  // namespace

Expected<void> TrainOptions::Validate() const {
  const auto positive = std::numeric_limits<double>::min();
  const struct {
    const char* name;
    double value;
    double low, high;
    const char* text;
  } rules[] = {
      {"epochs", 1.0 * epochs, 1, 100000, "must be in [1, 100000]"},
      {"batch_size", 1.0 * batch_size, 1, 4096, "must be in [1, 4096]"},
      {"accumulate", 1.0 * accumulate, 1, 4096, "must be in [1, 4096]"},
      {"steps_max", 1.0 * steps_max, 0, kStepsMax, "must be in [0, 1e9]"},
      {"learning_rate", learning_rate, positive, 1, "must be in (0, 1]"},
      {"warmup", schedule.warmup, 0, kStepsMax, "must be in [0, 1e9]"},
      {"weight_decay", weight_decay, 0, 1, "must be in [0, 1]"},
      {"gradient_norm_max", gradient_norm_max, positive, HUGE_VAL, "must be > 0"},
      {"explosion_factor", explosion_factor, std::nextafter(1.0, 2.0), HUGE_VAL, "must be > 1"},
  };
  for (const auto& rule : rules) {
    if (rule.value >= rule.low && rule.value <= rule.high) continue;
    return Fail(ErrorKind::kBadInput, rule.name, fmt::format("{}, got {}", rule.text, rule.value));
  }
  if (schedule.warmup >= 1.0 && schedule.warmup != std::floor(schedule.warmup)) {
    return Fail(ErrorKind::kBadInput,
                "warmup",
                fmt::format("must be a share below 1 or whole steps, got {}", schedule.warmup));
  }
  return {};
}

int PlannedSteps(const TrainOptions& options, std::size_t examples) {
  const auto per_step = std::int64_t{options.batch_size} * options.accumulate;
  const std::int64_t per_epoch = (static_cast<std::int64_t>(examples) + per_step - 1) / per_step;
  const std::int64_t all = per_epoch * options.epochs;
  const std::int64_t limit = options.steps_max > 0 ? options.steps_max : kStepsMax;
  return static_cast<int>(std::min(all, limit));
}

}  // namespace dashf::train
