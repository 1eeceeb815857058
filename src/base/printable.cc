#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace dashf {
namespace {

// ASCII's, and Unicode's C1 (U+0080 to U+009F), which terminals obey as well.
bool IsControl(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (lead < 0x20 || lead == 0x7F) return true;
  return lead == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

std::string Shown(std::string_view text, std::string_view as_they_are) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t size = CharacterBytes(text);
    const std::string_view character = text.substr(0, size == 0 ? 1 : size);
    text.remove_prefix(character.size());
    const bool is_kept = as_they_are.find(character) != std::string_view::npos;
    if (size > 0 && (is_kept || !IsControl(character))) {
      shown += character;
      continue;
    }
    for (const char byte : character) {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
  }
  return shown;
}

}  // namespace

std::string Printable(std::string_view text) {
  return Shown(text, "\n\t");
}

std::string PrintableLine(std::string_view text) {
  return Shown(text, "");
}

std::string Clipped(std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view kMore = "...";
  if (text.size() <= bytes_max) return std::string(text);
  std::size_t end = bytes_max - std::min(kMore.size(), bytes_max);
  const auto continues = [&] { return (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80; };
  while (end > 0 && continues()) --end;
  return std::string(text.substr(0, end)) + std::string(kMore);
}

}  // namespace dashf
