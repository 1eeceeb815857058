// The numbers that a phase trains, as one flat vector: what the optimiser sees of an adapter.
// Plain.
//
// Layer by layer: of LoRA, for each adapted projection in the order of projection.h, A [rank, in]
// and B [out, rank]; of LLaMA-Adapter the prompt [length, d] and the gate.
#pragma once

#include <span>
#include <vector>

#include "train/adapter.h"

namespace dashf::train {

// Of layers first..last - 1 (0-based, half open).
std::vector<float> TrainedParameters(const Adapter& adapter, int first, int last);
// Of all layers; empty without an adapter.
std::vector<float> AllParameters(const Adapter* adapter);
// The reverse of TrainedParameters; `parameters` has the size that TrainedParameters() gives.
void SetTrainedParameters(std::span<const float> parameters, int first, int last, Adapter* adapter);

}  // namespace dashf::train
