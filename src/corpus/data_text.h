// The bytes of a data file as text, and what is no data for all that it is text. Internal to this
// module.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace dashf::corpus {

// The text without a byte order mark. kBadInput says what the file is, and how to convert it, where
// it is not UTF-8 text: UTF-16, compressed and columnar files, pointers of Git LFS, binary data.
Expected<std::string_view> TextOf(const std::string& name, std::string_view bytes);

// Refuses what looks like a table (CSV), a page (HTML), or JSON behind a comment, of a text that
// nobody has said to be plain text.
Expected<void> CheckProse(const std::string& name, std::string_view text);

}  // namespace dashf::corpus
