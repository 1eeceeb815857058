#include "live/token.h"

#include <algorithm>
#include <cctype>

#include "base/file.h"

namespace dashf::live {

Expected<std::string> ReadToken(const std::string& path) {
  constexpr std::size_t kShortest = 16, kLongest = 256;
  auto text = ReadFile(path, kLongest + 1);
  if (!text) return text;
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  const bool sound = text->size() >= kShortest && text->size() <= kLongest &&
                     std::all_of(text->begin(), text->end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_';
                     });
  if (sound) return text;
  return Fail(ErrorKind::kBadInput,
              path,
              "must be one line of 16 to 256 letters, digits, '-' and '_' (openssl rand -hex 16)");
}

}  // namespace dashf::live
