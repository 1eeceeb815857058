#include "gguf/model_folder.h"

#include <filesystem>

#include "base/file.h"
#include "gguf/model_config.h"
#include "gguf/tokenizer_files.h"

namespace dashf::gguf {

namespace fs = std::filesystem;

Expected<ModelFolder> ModelFolder::Open(const std::string& path) {
  ModelFolder folder;
  folder.path_ = path;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return folder;
  if (!fs::exists(path, ignored)) {
    return Fail(ErrorKind::kIo, path, "there is no such model folder or GGUF file");
  }
  auto file = File::Open(path);
  if (!file) return tl::unexpected(file.error());
  folder.file_ = *std::move(file);
  return folder;
}

bool ModelFolder::Has(std::string_view name) const {
  std::error_code ignored;  // What cannot be looked at is for Read to report.
  if (!file_) return fs::exists(fs::path(path_) / name, ignored);
  return name == "config.json" || name == "tokenizer_config.json" ||
         name == TokenizerFileName(*file_);
}

Expected<std::string> ModelFolder::Read(std::string_view name, std::uint64_t bytes_max) const {
  if (!file_) return ReadFile(fs::path(path_) / name, bytes_max);
  if (name == "config.json") return ModelConfigJson(*file_);
  if (name == "tokenizer_config.json") return TokenizerConfigJson(*file_);
  const std::string_view tokenizer = TokenizerFileName(*file_);
  const bool unknown = tokenizer.empty() && name == "tokenizer.model";  // For its error to say so.
  if (name == tokenizer || unknown) return TokenizerFile(*file_);
  return Fail(ErrorKind::kIo, Place(name), "a GGUF file has none");
}

std::string ModelFolder::Place(std::string_view name) const {
  if (!file_) return (fs::path(path_) / name).string();
  return path_ + ": " + std::string(name);
}

}  // namespace dashf::gguf
