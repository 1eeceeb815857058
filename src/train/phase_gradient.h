// The seam between the training loop and what computes: the loss of a batch and its gradient. The
// loop (phases.cc), the optimiser and the adapter are plain numbers on the one side; on the other
// stands an implementation per numerical library. Internal to this module.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "corpus/dataset.h"
#include "train/adapter.h"
#include "train/model.h"
#include "train/phase.h"

namespace dashf::train {

class PhaseGradient {
 public:
  virtual ~PhaseGradient() = default;
  // Computes a part of what is to be there before the first gradient; false once all of it is.
  virtual bool Prepare() { return false; }
  // The mean loss per answer token of the examples `chosen` (indices), and its gradient in the
  // phase's trained parameters, both flat as in trained_parameters.h. `gradient` is overwritten.
  // What Prepare() has left is computed first.
  virtual double Compute(std::span<const std::size_t> chosen,
                         std::span<const float> parameters,
                         std::span<float> gradient) = 0;
};

// Hidden states that the phase takes from a cache are computed here, in batches of `batch_size`.
// With `recompute` an implementation that can keeps each layer's input alone for the backward
// (TrainOptions::recompute): the same gradient.
// The model and the adapter are copied, the examples are not: `examples` must outlive it. All
// arguments have been checked, and the phase trains a layer.
using MakePhaseGradient =
    std::unique_ptr<PhaseGradient>(const Model& model,
                                   const std::vector<corpus::Example>& examples,
                                   const Phase& phase,
                                   const Adapter& adapter,
                                   int batch_size,
                                   bool recompute);
// By the engine in llama/: what training uses. autograd/ has another, to check it.
MakePhaseGradient NativePhaseGradient;

}  // namespace dashf::train
