// Files: whole reads with a size limit, atomic writes. A file we write is either the old one or the
// whole new one, never a part: written beside its place, synced, then renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace dashf {

// A file's bytes, block by block.
class FileBlocks {
 public:
  // kIo if it cannot be opened; kBadInput if it is larger than `bytes_max`.
  static Expected<FileBlocks> Open(const std::filesystem::path& path, std::uint64_t bytes_max);
  // The next bytes, none at the end; they stay until the next call. kIo if they cannot be read;
  // kBadInput once there were more than `bytes_max` (a pipe has no size to look at beforehand).
  Expected<std::string_view> Next();
  std::uint64_t bytes() const;  // As the file system states it; 0 for what is no plain file.

 private:
  struct State;
  FileBlocks() = default;
  std::shared_ptr<State> state_;
};

// The file's bytes. kIo if it cannot be opened or read; kBadInput if it is larger than `bytes_max`.
Expected<std::string> ReadFile(const std::filesystem::path& path,
                               std::uint64_t bytes_max = std::uint64_t{1} << 30);

// Replaces `path` (through links) atomically, or writes into what is no plain file; makes parents.
Expected<void> WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes);

struct FileBytes {
  std::filesystem::path path;
  std::string_view bytes;
};
// The same of files that belong together: none is replaced before all are written and synced, so a
// full disk leaves them as they were.
Expected<void> WriteFilesAtomically(std::span<const FileBytes> files);

}  // namespace dashf
