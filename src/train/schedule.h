// The learning rate over a phase's steps. Plain.
#pragma once

#include <optional>
#include <string_view>

namespace dashf::train {

enum class ScheduleShape { kConstant, kLinear, kCosine };

// With W warm-up steps of T in all, step s = 1..T has the peak's share
//   s <= W:  s / W
//   s > W:   1                                    kConstant
//            (T - s + 1) / (T - W)                kLinear
//            (1 + cos(pi (s - 1 - W) / (T - W))) / 2   kCosine
// so that the first step after the warm-up has the peak and none has rate 0. The two that fall are
// those of Hugging Face's schedules of the same names, whose warm-up, (s - 1) / W, begins with a
// step that changes nothing.
struct LearningRateSchedule {
  ScheduleShape shape = ScheduleShape::kConstant;
  double warmup =
      0.0;  // W: from 1 up as steps (a whole number), below 1 as a share of T, rounded up.

  int WarmupSteps(int steps) const;
  double Share(int step, int steps) const;  // 1 <= step <= steps.
  bool operator==(const LearningRateSchedule&) const = default;
};

// "constant", "linear" or "cosine".
std::string_view Name(ScheduleShape shape);
std::optional<ScheduleShape> ScheduleShapeNamed(std::string_view name);

}  // namespace dashf::train
