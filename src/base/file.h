// Files: whole reads with a size limit, atomic writes. A file we write is either the old one or the
// whole new one, never a part: written beside its place, synced, then renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace dashf {

// The file's bytes. kIo if it cannot be opened or read; kBadInput if it is larger than `bytes_max`.
Expected<std::string> ReadFile(const std::filesystem::path& path,
                               std::uint64_t bytes_max = std::uint64_t{1} << 30);

// Replaces `path` atomically; missing parent folders are made. kIo names the path and the reason.
Expected<void> WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes);

}  // namespace dashf
