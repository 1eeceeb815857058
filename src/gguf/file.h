// GGUF, llama.cpp's file of a model or an adapter: metadata by key, then tensors, each beginning at
// a multiple of the alignment. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions
// 2 and 3, little-endian. Every number in a file is hostile: a file is either accepted whole, or
// refused with the place and the broken rule (kBadInput).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "gguf/blocks.h"

namespace dashf::gguf {

// A value of the metadata, without its width: unsigned and signed integers are both `std::int64_t`
// (a larger unsigned one is refused), float32 and float64 both `double`. A list holds one kind.
using Value = std::variant<std::int64_t,
                           double,
                           bool,
                           std::string,
                           std::vector<std::int64_t>,
                           std::vector<double>,
                           std::vector<bool>,
                           std::vector<std::string>>;
using Metadata = std::map<std::string, Value, std::less<>>;

struct Tensor {
  TensorType type = TensorType::kF32;
  // Row-major, the last dimension the fastest (the file has them the other way round); 1 to 4, each
  // positive. Rows consist of whole blocks.
  std::vector<std::int64_t> shape;
  std::string_view bytes;  // May be unaligned.
};
using TensorMap = std::map<std::string, Tensor, std::less<>>;

// The tensors' views point into memory that this object (and each copy of it) keeps alive.
// Immutable, so safe from any thread.
class File {
 public:
  // Maps the file (base/mapped_file.h). kIo or kBadInput.
  static Expected<File> Open(const std::string& path);
  // The same of bytes in memory; `name` is the place that errors name.
  static Expected<File> Parse(const std::string& name, std::string bytes);

  const std::string& name() const { return name_; }
  const Metadata& metadata() const { return metadata_; }
  const TensorMap& tensors() const { return tensors_; }
  void Release(std::string_view bytes) const { file_.Release(bytes); }

 private:
  static Expected<File> ParseFile(const std::string& name, MappedFile source);

  std::string name_;
  MappedFile file_;
  Metadata metadata_;
  TensorMap tensors_;
};

// Does the file begin as a GGUF file does? No for what cannot be read.
bool IsGguf(const std::string& path);

// The file, version 3, of these: integers as uint32 where they fit and int64 else, numbers as
// float32 where that is exact and float64 else. The same bytes for the same input. Each view's
// bytes must fill its shape; names and strings are UTF-8.
std::string Write(const Metadata& metadata, const TensorMap& tensors);

}  // namespace dashf::gguf
