// A tensor of a safetensors file as libtorch's. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensorfile/safetensors.h"

namespace dashf::train {

// A float32 copy of a tensor stored as F32, F16 or BF16. kBadInput at `where` for another type,
// another shape, or a value that is not finite. libtorch may throw: call it inside Guarded.
Expected<at::Tensor> ReadTensor(const std::string& where,
                                const tensorfile::TensorView& view,
                                const std::vector<std::int64_t>& shape);

}  // namespace dashf::train
