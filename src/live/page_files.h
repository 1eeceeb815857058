// The page's own files, as they lie in page/; they are compiled into the program.
#pragma once

#include <optional>
#include <string_view>

namespace dashf::live {

struct PageFileBytes {
  const char* type;
  std::string_view bytes;
};
std::optional<PageFileBytes> PageFile(std::string_view path);

}  // namespace dashf::live
