// GGUF: every tensor of what is accepted lies within the bytes and can be decoded, what is accepted
// is written and read again as the same, and its Hugging Face files are made or refused.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "gguf/file.h"
#include "gguf/model_config.h"
#include "gguf/tokenizer_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using dashf::gguf::File;
  const auto file = File::Parse("f", std::string(reinterpret_cast<const char*>(data), size));
  if (!file) return 0;
  for (const auto& [name, tensor] : file->tensors()) {
    const auto& block = dashf::gguf::BlockOf(tensor.type);
    const auto blocks = tensor.bytes.size() / static_cast<std::size_t>(block.bytes);
    std::vector<float> values(blocks * static_cast<std::size_t>(block.elements));
    dashf::gguf::Decode(tensor.type, tensor.bytes, values);
  }
  const std::string written = dashf::gguf::Write(file->metadata(), file->tensors());
  const auto again = File::Parse("f", written);
  DASHF_CHECK(again && again->metadata() == file->metadata());
  DASHF_CHECK(again->tensors().size() == file->tensors().size());
  for (const auto& [name, tensor] : file->tensors()) {
    const auto& other = again->tensors().at(name);
    DASHF_CHECK(other.shape == tensor.shape && other.bytes == tensor.bytes);
  }
  static_cast<void>(dashf::gguf::ModelConfigJson(*file));
  static_cast<void>(dashf::gguf::TokenizerConfigJson(*file));
  static_cast<void>(dashf::gguf::TokenizerFile(*file));
  return 0;
}
