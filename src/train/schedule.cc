#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dashf::train {
namespace {

constexpr std::string_view kNames[] = {"constant", "linear", "cosine"};

}  // namespace

int LearningRateSchedule::WarmupSteps(int steps) const {
  const double asked = warmup < 1.0 ? std::ceil(warmup * steps) : warmup;
  return static_cast<int>(std::min<double>(asked, steps));
}

double LearningRateSchedule::Share(int step, int steps) const {
  const int rising = WarmupSteps(steps);
  if (step <= rising) return static_cast<double>(step) / rising;
  const double done = static_cast<double>(step - 1 - rising) / (steps - rising);  // In [0, 1).
  switch (shape) {
    case ScheduleShape::kConstant:
      return 1.0;
    case ScheduleShape::kLinear:
      return 1.0 - done;
    case ScheduleShape::kCosine:
      return 0.5 * (1.0 + std::cos(std::numbers::pi * done));
  }
  return 1.0;
}

std::string_view Name(ScheduleShape shape) {
  return kNames[static_cast<std::size_t>(shape)];
}

std::optional<ScheduleShape> ScheduleShapeNamed(std::string_view name) {
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<ScheduleShape>(found - std::begin(kNames));
}

}  // namespace dashf::train
