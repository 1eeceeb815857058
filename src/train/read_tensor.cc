#include "train/read_tensor.h"

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

namespace dashf::train {

using tensorfile::DType;

Expected<at::Tensor> ReadTensor(const std::string& where,
                                const tensorfile::TensorView& view,
                                const std::vector<std::int64_t>& shape) {
  if (view.shape != shape) {
    return Fail(
        ErrorKind::kBadInput,
        where,
        fmt::format(
            "must have shape [{}], got [{}]", fmt::join(shape, ", "), fmt::join(view.shape, ", ")));
  }
  at::ScalarType type = at::kFloat;
  if (view.dtype == DType::kF16) {
    type = at::kHalf;
  } else if (view.dtype == DType::kBF16) {
    type = at::kBFloat16;
  } else if (view.dtype != DType::kF32) {
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("must be F32, F16 or BF16, got {}", tensorfile::Name(view.dtype)));
  }
  at::Tensor tensor = at::empty(shape, type);
  std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
  tensor = tensor.to(at::kFloat);
  if (!at::isfinite(tensor).all().item<bool>()) {
    return Fail(ErrorKind::kBadInput, where, "has a value that is not finite");
  }
  return tensor;
}

}  // namespace dashf::train
