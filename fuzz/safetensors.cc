// Safetensors: every tensor of what is accepted lies within the bytes, and what is accepted is
// written and read again, and written the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "tensorfile/safetensors.h"

namespace {

void Check(std::string bytes) {
  using dashf::tensorfile::SafetensorsFile;
  const auto file = SafetensorsFile::Parse("f", std::move(bytes));
  if (!file) return;
  unsigned sum = 0;  // Reads every byte, which the sanitizer watches.
  for (const auto& [name, view] : file->tensors()) {
    for (const char byte : view.bytes) sum += static_cast<unsigned char>(byte);
  }
  const std::string written =
      dashf::tensorfile::WriteSafetensors(file->tensors(), file->metadata());
  const auto again = SafetensorsFile::Parse("f", written);
  DASHF_CHECK(again && again->tensors().size() == file->tensors().size());
  for (const auto& [name, view] : again->tensors()) {
    for (const char byte : view.bytes) sum -= static_cast<unsigned char>(byte);
  }
  DASHF_CHECK(sum == 0);
  DASHF_CHECK(dashf::tensorfile::WriteSafetensors(again->tensors(), again->metadata()) == written);
}

}  // namespace

// As a file, and as the header of a file, which mutations of JSON then reach.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  Check(bytes);
  std::string file;
  for (int shift = 0; shift < 64; shift += 8)
    file += static_cast<char>(std::uint64_t{size} >> shift);
  Check(file + bytes + std::string(64, '\1'));
  return 0;
}
