// What a file is that was taken for another, told by its bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dashf {

// "is gzip; unpack it: gunzip FILE" for what is neither text nor a tensor file: a pointer of Git
// LFS, UTF-16 and UTF-32, compressed and columnar files. `name` is the file's, for the command that
// the text gives.
std::optional<std::string> ForeignKind(std::string_view name, std::string_view bytes);

// Of a Git LFS pointer alone, the same.
std::optional<std::string> LfsPointer(std::string_view bytes);

}  // namespace dashf
