// What the phases of a model cost, as a sum of what its layers do: an affine law whose few
// coefficients follow from the phases of models with few layers, so that a large model's splits
// need not be trained one by one. Pure functions.
//
//   cost = once x forward + passes x (fixed + forwards x forward
//                                     + trained x backward + frozen x backward through frozen)
//
// The law is exact in operations: layers of one shape cost the same, whatever stands above and
// below, but for the last one of a pass, which computes fewer rows; that difference and the head
// are in `fixed`.
#pragma once

#include <utility>
#include <vector>

#include "train/phases.h"

namespace dashf::train {

// A phase as TrainLayers takes it: layers first..last of a model.
struct PhaseShape {
  int layers = 0;
  int first = 0, last = 0;
  UserObjective objective = UserObjective::kFullDepth;
  int epochs = 1;
};

class PhaseLaw {
 public:
  // Fitted to what phases were measured to cost, in any unit > 0, by least squares of relative
  // residuals. Coefficients that these phases cannot tell apart get the smallest values that
  // explain them.
  static PhaseLaw Fit(const std::vector<std::pair<PhaseShape, double>>& measured);

  double Cost(const PhaseShape& phase) const;  // 0 for a phase that trains no layer.

 private:
  std::vector<double> coefficients_;
};

}  // namespace dashf::train
