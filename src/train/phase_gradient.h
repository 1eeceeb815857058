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
  // The mean loss per answer token of the examples `chosen` (indices), and its gradient in the
  // phase's trained parameters, both flat as in trained_parameters.h. `gradient` is overwritten.
  virtual double Compute(std::span<const std::size_t> chosen,
                         std::span<const float> parameters,
                         std::span<float> gradient) = 0;
};

// By libtorch's autograd. Hidden states that the phase takes from a cache are computed here, in
// batches of `batch_size`. The model's tensors are kept, the examples and the adapter are not:
// `examples` must outlive it.
std::unique_ptr<PhaseGradient> TorchPhaseGradient(const Model& model,
                                                  const std::vector<corpus::Example>& examples,
                                                  const Phase& phase,
                                                  const Adapter& adapter,
                                                  int batch_size);

}  // namespace dashf::train
