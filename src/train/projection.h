// The seven projections of a Llama layer, which LoRA may adapt, under this module's name.
#pragma once

#include "llama/config.h"

namespace dashf::train {

using llama::HasBias;
using llama::kProjectionNames;
using llama::Projection;
using llama::WeightShape;
using enum llama::Projection;

}  // namespace dashf::train
