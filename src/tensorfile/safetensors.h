// Tensors in a file, in the safetensors format: a little-endian u64 header length, a JSON header
// {name: {"dtype", "shape", "data_offsets"}}, then the row-major bytes without hole or overlap.
// https://github.com/huggingface/safetensors#format. Every number in a file is hostile: a file is
// either accepted whole, or refused with the tensor and the broken rule (kBadInput).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"

namespace dashf::tensorfile {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

std::string_view Name(DType dtype);  // As the format spells it: "F32", "BF16", "BOOL".
std::int64_t BytesPerElement(DType dtype);

struct TensorView {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;  // Empty: a scalar. A dimension may be 0: a tensor of no bytes.
  std::string_view bytes;  // Row-major, little-endian; may be unaligned, so copy before use.
};

// By name.
using TensorMap = std::map<std::string, TensorView, std::less<>>;
// The header's optional "__metadata__": strings for strings.
using Metadata = std::map<std::string, std::string, std::less<>>;

// A file's tensors. The views point into memory that this object (and each copy of it) keeps alive.
// Immutable, so safe from any thread.
class SafetensorsFile {
 public:
  // Maps the file, so tensors that nobody reads cost no memory. The file must not be truncated
  // while it is open (replacing it by a rename is safe). kIo or kBadInput.
  static Expected<SafetensorsFile> Open(const std::string& path);
  // The same of bytes in memory (a peer's message); `name` is the place that errors name.
  static Expected<SafetensorsFile> Parse(const std::string& name, std::string bytes);

  // The kernel may take the memory back that these bytes of a tensor fill: whoever looks at them
  // again has them read from the file again. Nothing happens to bytes that came from memory.
  void Release(std::string_view bytes) const { file_.Release(bytes); }

  const TensorMap& tensors() const { return tensors_; }
  const Metadata& metadata() const { return metadata_; }

 private:
  static Expected<SafetensorsFile> ParseFile(const std::string& name, MappedFile source);

  MappedFile file_;
  TensorMap tensors_;
  Metadata metadata_;
};

// The file of these tensors: the same bytes for the same tensors, wider elements first and then by
// name, so that every tensor is aligned to its element. Each view's bytes must fill its shape;
// names are UTF-8.
std::string WriteSafetensors(const TensorMap& tensors, const Metadata& metadata = {});

}  // namespace dashf::tensorfile
