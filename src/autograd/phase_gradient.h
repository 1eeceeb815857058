// The loss of a batch and its gradient by libtorch's autograd: the independent reference of what
// training uses.
#pragma once

#include "train/phase_gradient.h"

namespace dashf::autograd {

train::MakePhaseGradient AutogradPhaseGradient;

}  // namespace dashf::autograd
