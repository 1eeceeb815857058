// Text of files' and peers' as messages show it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dashf {

// Control characters but line ends, and bytes that are no UTF-8, as \xNN: a message moves no
// cursor and is text whatever it quotes.
std::string Printable(std::string_view text);

// The same with line ends and tabs shown as well: for what a message quotes in a line, as a name.
std::string PrintableLine(std::string_view text);

// At most `bytes_max` bytes of it, whole characters, "..." at the end of what was longer.
std::string Clipped(std::string_view text, std::size_t bytes_max);

}  // namespace dashf
