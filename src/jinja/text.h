// Python's str, on UTF-8: characters are code points, white space and case are Unicode's. All texts
// must be valid UTF-8. Internal to this module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dashf::jinja {

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
};
Character FirstCharacter(std::string_view text);  // Not of an empty text.
Character LastCharacter(std::string_view text);
void AppendUtf8(char32_t code, std::string* text);
// Each byte that is not part of valid UTF-8 becomes U+FFFD.
std::string ValidUtf8(std::string_view bytes);
bool IsAscii(std::string_view text);

std::size_t CharacterCount(std::string_view text);
// Where character `index` begins; its end for index = CharacterCount.
std::size_t ByteOffset(std::string_view text, std::size_t index);

bool IsSpace(char32_t code);  // str.isspace
enum class Side { kLeft, kRight, kBoth };
// Without `chars` white space goes.
std::string_view Strip(std::string_view text, std::optional<std::string_view> chars, Side side);
// str.split and, from the right, str.rsplit; without `separator`, at white space. `splits_max` < 0:
// no limit. The separator must not be empty.
std::vector<std::string_view> Split(std::string_view text,
                                    std::optional<std::string_view> separator,
                                    std::int64_t splits_max,
                                    bool from_right = false);
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);
// At most `count` times; < 0: no limit. The caller bounds the result.
std::string Replaced(std::string_view text,
                     std::string_view old,
                     std::string_view by,
                     std::int64_t count);
// How often `old` stands in the text, without overlaps, as str.count.
std::size_t Count(std::string_view text, std::string_view part);

// Fail where one character becomes several or its neighbours decide (ß, İ, final sigma).
std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string Capitalized(std::string_view text);
std::string Title(std::string_view text);        // str.title
std::string TitleFilter(std::string_view text);  // Jinja's filter of that name.
// str.isalpha, isdigit, ...; nothing for a name that is none of them.
std::optional<bool> HasProperty(std::string_view text, std::string_view name);

std::string ReprOfText(std::string_view text);   // Python's repr, quotes included.
std::string EscapedHtml(std::string_view text);  // As markupsafe does it.
std::string ReprOfFloat(double number);

}  // namespace dashf::jinja
