// Case, properties and printable forms of characters (text.h), by utf8proc's tables.
#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "jinja/budget.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

enum class Case { kUpper, kLower, kTitle };

// Where Unicode's SpecialCasing.txt maps one character to several, or by its neighbours, which
// utf8proc's one-to-one tables cannot say.
bool IsSpecialCase(char32_t code, Case to) {
  if (to == Case::kLower) return code == 0x130 || code == 0x3A3;
  return code == 0xDF || code == 0x149 || code == 0x1F0 || code == 0x390 || code == 0x3B0 ||
         code == 0x587 || (code >= 0x1E96 && code <= 0x1E9A) ||
         (code >= 0x1F50 && code <= 0x1F57) || (code >= 0x1F80 && code <= 0x1FFC) ||
         (code >= 0xFB00 && code <= 0xFB17);
}

void AppendCased(char32_t code, Case to, std::string* text) {
  if (IsSpecialCase(code, to)) {
    throw Failure{fmt::format("changing the case of U+{:04X} is not supported",
                              static_cast<std::uint32_t>(code))};
  }
  const auto given = static_cast<utf8proc_int32_t>(code);
  const utf8proc_int32_t cased = to == Case::kUpper   ? utf8proc_toupper(given)
                                 : to == Case::kLower ? utf8proc_tolower(given)
                                                      : utf8proc_totitle(given);
  AppendUtf8(static_cast<char32_t>(cased), text);
}

utf8proc_category_t Category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

bool IsUpperCase(char32_t code) {
  return utf8proc_isupper(static_cast<utf8proc_int32_t>(code)) != 0;
}
bool IsLowerCase(char32_t code) {
  return utf8proc_islower(static_cast<utf8proc_int32_t>(code)) != 0;
}
bool IsCased(char32_t code) {
  return IsUpperCase(code) || IsLowerCase(code) || Category(code) == UTF8PROC_CATEGORY_LT;
}
bool IsAlpha(char32_t code) {
  const utf8proc_category_t category = Category(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool IsDecimal(char32_t code) {
  return Category(code) == UTF8PROC_CATEGORY_ND;
}
// Superscripts are digits, fractions are not; utf8proc does not tell them apart.
bool IsDigit(char32_t code) {
  if (code >= 0x80 && Category(code) == UTF8PROC_CATEGORY_NO) {
    throw Failure{fmt::format("whether U+{:04X} is a digit is not supported",
                              static_cast<std::uint32_t>(code))};
  }
  return IsDecimal(code);
}

template <class Is>
bool All(std::string_view text, Is is) {
  if (text.empty()) return false;
  for (; !text.empty(); text.remove_prefix(FirstCharacter(text).bytes)) {
    if (!is(FirstCharacter(text).code)) return false;
  }
  return true;
}

// Has a cased character, and none of the other case.
bool AllCased(std::string_view text, bool upper) {
  bool cased = false;
  for (; !text.empty(); text.remove_prefix(FirstCharacter(text).bytes)) {
    const char32_t code = FirstCharacter(text).code;
    if (!IsCased(code)) continue;
    if (!(upper ? IsUpperCase(code) : IsLowerCase(code))) return false;
    cased = true;
  }
  return cased;
}

std::string Cased(std::string_view text, Case to) {
  std::string result;
  for (; !text.empty(); text.remove_prefix(FirstCharacter(text).bytes)) {
    AppendCased(FirstCharacter(text).code, to, &result);
  }
  return result;
}

bool IsPrintable(char32_t code) {
  switch (Category(code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return code == ' ';
    default:
      return true;
  }
}

}  // namespace

std::string Upper(std::string_view text) {
  return Cased(text, Case::kUpper);
}
std::string Lower(std::string_view text) {
  return Cased(text, Case::kLower);
}

std::string Capitalized(std::string_view text) {
  if (text.empty()) return {};
  const std::size_t first = FirstCharacter(text).bytes;
  return Cased(text.substr(0, first), Case::kTitle) + Cased(text.substr(first), Case::kLower);
}

std::string Title(std::string_view text) {
  std::string result;
  bool in_word = false;
  for (; !text.empty(); text.remove_prefix(FirstCharacter(text).bytes)) {
    const char32_t code = FirstCharacter(text).code;
    AppendCased(code, in_word ? Case::kLower : Case::kTitle, &result);
    in_word = IsCased(code);
  }
  return result;
}

std::string TitleFilter(std::string_view text) {
  std::string result;
  bool in_word = false;
  for (; !text.empty(); text.remove_prefix(FirstCharacter(text).bytes)) {
    const char32_t code = FirstCharacter(text).code;
    const bool parts =
        IsSpace(code) || code == '-' || code == '(' || code == '{' || code == '[' || code == '<';
    AppendCased(code, parts || in_word ? Case::kLower : Case::kUpper, &result);
    in_word = !parts;
  }
  return result;
}

std::optional<bool> HasProperty(std::string_view text, std::string_view name) {
  if (name == "isspace") return All(text, IsSpace);
  if (name == "isalpha") return All(text, IsAlpha);
  if (name == "isdecimal") return All(text, IsDecimal);
  if (name == "isdigit") return All(text, IsDigit);
  if (name == "isalnum") {
    return All(text, [](char32_t code) { return IsAlpha(code) || IsDigit(code); });
  }
  if (name == "isupper") return AllCased(text, true);
  if (name == "islower") return AllCased(text, false);
  if (name == "isascii") return IsAscii(text);
  return std::nullopt;
}

std::string ReprOfText(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string result(1, quote);
  for (; !text.empty(); text.remove_prefix(FirstCharacter(text).bytes)) {
    const auto code = static_cast<std::uint32_t>(FirstCharacter(text).code);
    if (code == static_cast<unsigned char>(quote) || code == '\\') {
      result += '\\';
      result += static_cast<char>(code);
    } else if (code == '\n') {
      result += "\\n";
    } else if (code == '\r') {
      result += "\\r";
    } else if (code == '\t') {
      result += "\\t";
    } else if (IsPrintable(code)) {
      AppendUtf8(code, &result);
    } else if (code < 0x100) {
      result += fmt::format("\\x{:02x}", code);
    } else {
      result += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    }
  }
  result += quote;
  return result;
}

// The shortest digits that are read back the same; positional for 1e-4 <= |x| < 1e16.
std::string ReprOfFloat(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer{};
  const double size = std::abs(number);
  if (size == 0.0 || (size >= 1e-4 && size < 1e16)) {
    auto [end, error] = std::to_chars(
        buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::fixed);
    std::string text(buffer.data(), end);
    return text.find('.') == std::string::npos ? text + ".0" : text;
  }
  auto [end, error] = std::to_chars(
      buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::scientific);
  return std::string(buffer.data(), end);
}

}  // namespace dashf::jinja
