#include "jinja/text.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace dashf::jinja {
namespace {

// The length that a lead byte announces; 0: none.
std::size_t Announced(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

char32_t Decoded(std::string_view text, std::size_t bytes) {
  constexpr std::array<unsigned, 5> kLeadMask = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t code = static_cast<unsigned char>(text[0]) & kLeadMask[bytes];
  for (std::size_t i = 1; i < bytes; ++i) {
    code = (code << 6) | (static_cast<unsigned char>(text[i]) & 0x3F);
  }
  return code;
}

// The bytes of a valid character at the beginning; 0: none.
std::size_t ValidBytes(std::string_view text) {
  const std::size_t bytes = Announced(static_cast<unsigned char>(text[0]));
  if (bytes == 0 || bytes > text.size()) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  const char32_t code = Decoded(text, bytes);
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  return overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ? 0 : bytes;
}

bool Holds(std::string_view chars, char32_t code) {
  while (!chars.empty()) {
    const Character each = FirstCharacter(chars);
    if (each.code == code) return true;
    chars.remove_prefix(each.bytes);
  }
  return false;
}

std::vector<std::string_view> SplitAtSpace(std::string_view text, std::int64_t splits_max) {
  std::vector<std::string_view> parts;
  for (text = Strip(text, std::nullopt, Side::kLeft); !text.empty();
       text = Strip(text, std::nullopt, Side::kLeft)) {
    std::size_t end = text.size();
    if (splits_max < 0 || static_cast<std::int64_t>(parts.size()) < splits_max) {
      for (end = 0; end < text.size(); end += FirstCharacter(text.substr(end)).bytes) {
        if (IsSpace(FirstCharacter(text.substr(end)).code)) break;
      }
      parts.push_back(text.substr(0, end));
    } else {
      parts.push_back(text);
    }
    text.remove_prefix(end);
  }
  return parts;
}

// From the right; the parts in the order of the text.
std::vector<std::string_view> RightSplitAtSpace(std::string_view text, std::int64_t splits_max) {
  std::vector<std::string_view> parts;
  for (text = Strip(text, std::nullopt, Side::kRight); !text.empty();
       text = Strip(text, std::nullopt, Side::kRight)) {
    std::size_t begin = 0;
    if (splits_max < 0 || static_cast<std::int64_t>(parts.size()) < splits_max) {
      begin = text.size();
      while (begin > 0) {
        const Character last = LastCharacter(text.substr(0, begin));
        if (IsSpace(last.code)) break;
        begin -= last.bytes;
      }
      parts.push_back(text.substr(begin));
    } else {
      parts.push_back(text);
    }
    text = text.substr(0, begin);
  }
  std::ranges::reverse(parts);
  return parts;
}

}  // namespace

Character FirstCharacter(std::string_view text) {
  const std::size_t bytes = Announced(static_cast<unsigned char>(text[0]));
  DASHF_CHECK(bytes > 0 && bytes <= text.size());
  return {Decoded(text, bytes), bytes};
}

Character LastCharacter(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while ((static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) {
    DASHF_CHECK(begin > 0);
    --begin;
  }
  return FirstCharacter(text.substr(begin));
}

void AppendUtf8(char32_t code, std::string* text) {
  const auto put = [text](char32_t byte) { text->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

std::string ValidUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t valid = ValidBytes(bytes);
    if (valid == 0) {
      AppendUtf8(0xFFFD, &text);
    } else {
      text.append(bytes.substr(0, valid));
    }
    bytes.remove_prefix(std::max<std::size_t>(valid, 1));
  }
  return text;
}

bool IsAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::size_t CharacterCount(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::size_t ByteOffset(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;
    if (index-- == 0) return at;
  }
  return at;
}

bool IsSpace(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

std::string_view Strip(std::string_view text, std::optional<std::string_view> chars, Side side) {
  const auto goes = [&chars](char32_t code) { return chars ? Holds(*chars, code) : IsSpace(code); };
  while (side != Side::kRight && !text.empty()) {
    const Character first = FirstCharacter(text);
    if (!goes(first.code)) break;
    text.remove_prefix(first.bytes);
  }
  while (side != Side::kLeft && !text.empty()) {
    const Character last = LastCharacter(text);
    if (!goes(last.code)) break;
    text.remove_suffix(last.bytes);
  }
  return text;
}

std::vector<std::string_view> Split(std::string_view text,
                                    std::optional<std::string_view> separator,
                                    std::int64_t splits_max,
                                    bool from_right) {
  if (!separator) {
    return from_right ? RightSplitAtSpace(text, splits_max) : SplitAtSpace(text, splits_max);
  }
  std::vector<std::string_view> parts;
  while (splits_max < 0 || static_cast<std::int64_t>(parts.size()) < splits_max) {
    const std::size_t at = from_right ? text.rfind(*separator) : text.find(*separator);
    if (at == std::string_view::npos) break;
    const std::size_t behind = at + separator->size();
    parts.push_back(from_right ? text.substr(behind) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(behind);
  }
  parts.push_back(text);
  if (from_right) std::ranges::reverse(parts);
  return parts;
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  const auto ends_line = [](char32_t code) {
    return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
           code == 0x2028 || code == 0x2029;
  };
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character each = FirstCharacter(text.substr(at));
    std::size_t behind = at + each.bytes;
    if (ends_line(each.code)) {
      if (each.code == '\r' && behind < text.size() && text[behind] == '\n') ++behind;
      lines.push_back(text.substr(begin, (keep_ends ? behind : at) - begin));
      begin = behind;
    }
    at = behind;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string Replaced(std::string_view text,
                     std::string_view old,
                     std::string_view by,
                     std::int64_t count) {
  std::string result;
  if (old.empty()) {  // Before every character and at the end.
    while (count != 0) {
      result.append(by);
      --count;
      if (text.empty()) return result;
      const std::size_t bytes = FirstCharacter(text).bytes;
      result.append(text.substr(0, bytes));
      text.remove_prefix(bytes);
    }
    return result.append(text);
  }
  for (; count != 0; --count) {
    const std::size_t at = text.find(old);
    if (at == std::string_view::npos) break;
    result.append(text.substr(0, at)).append(by);
    text.remove_prefix(at + old.size());
  }
  return result.append(text);
}

std::size_t Count(std::string_view text, std::string_view part) {
  if (part.empty()) return CharacterCount(text) + 1;
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string_view::npos;
       at += part.size()) {
    ++count;
  }
  return count;
}

std::string EscapedHtml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      case '"':
        escaped += "&#34;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace dashf::jinja
