// What a study says: every arm against the training of all layers in one place, paired by user and
// seed, with confidence intervals. Pure functions of the results.
#pragma once

#include <string>
#include <vector>

#include "base/confidence_interval.h"
#include "base/error.h"
#include "study/design.h"
#include "study/results.h"
#include "train/model.h"

namespace dashf::study {

inline constexpr double kConfidence = 0.95;

// Loss and exact match of an arm, and what both lose (loss: arm - reference; exact match: reference
// - arm, so that positive is worse), over the pairs of user and seed that have both.
struct Comparison {
  int pairs = 0;
  double loss = 0.0;
  double exact_match = 0.0;
  ConfidenceInterval loss_lost;             // Against as many steps.
  ConfidenceInterval loss_lost_equal_flop;  // Against as many FLOP.
  ConfidenceInterval exact_match_lost;      // Against as many steps.
  // Means.
  double user_flop = 0.0, server_flop = 0.0, reference_flop = 0.0;
  double user_cpu_s = 0.0, server_cpu_s = 0.0;
  double user_memory_bytes = 0.0, server_memory_bytes = 0.0;
  double up_bytes = 0.0, down_bytes = 0.0;
};

struct ArmRow {
  Arm arm;
  Comparison result;
};

// A schedule as a whole: a pair's value is its mean over the splits 0 < k < L.
struct ScheduleRow {
  Schedule schedule;
  train::UserObjective objective;
  ConfidenceInterval loss_lost, exact_match_lost;
};

// An adapter made of all users', against each user's own (the reference).
struct SharedRow {
  std::string training;
  ConfidenceInterval loss, loss_lost, exact_match, exact_match_lost;
};

struct Summary {
  int pairs = 0;                         // With a reference.
  ConfidenceInterval loss, exact_match;  // Of the reference.
  std::vector<ArmRow> arms;              // Those with at least one pair.
  std::vector<ScheduleRow> schedules;
  std::vector<SharedRow> shared;
};

// kBadInput if results are there on other data than `repetitions` have.
Expected<Summary> Summarise(const train::ModelConfig& model,
                            const std::vector<Repetition>& repetitions,
                            const Design& design,
                            const Results& results);

}  // namespace dashf::study
