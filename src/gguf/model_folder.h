// A model's text files by the names they have in a Hugging Face folder, whether the model is such a
// folder or one GGUF file. Of a GGUF file they are made from its metadata, so that whoever reads
// config.json, tokenizers and chat templates reads both kinds of model in the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "gguf/file.h"

namespace dashf::gguf {

class ModelFolder {
 public:
  // A folder is not looked at here; a file must be GGUF. kIo if there is nothing, kBadInput.
  static Expected<ModelFolder> Open(const std::string& path);

  // Of a GGUF file: config.json, tokenizer_config.json, and tokenizer.json or tokenizer.model.
  bool Has(std::string_view name) const;
  // The file's text. kIo if there is none; kBadInput if it is larger than `bytes_max`, and for
  // metadata that are wrong or not supported.
  Expected<std::string> Read(std::string_view name,
                             std::uint64_t bytes_max = std::uint64_t{1} << 30) const;
  // What errors name: "FOLDER/config.json", "model.gguf: config.json".
  std::string Place(std::string_view name) const;

  // Where the model is a GGUF file.
  const std::optional<File>& file() const { return file_; }

 private:
  std::string path_;
  std::optional<File> file_;
};

}  // namespace dashf::gguf
