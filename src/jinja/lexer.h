// A template's source as tokens. Internal to this module.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dashf::jinja {

enum class TokenKind {
  kData,
  kOutputBegin,
  kOutputEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 1;
  std::string text;  // What it says: a string without its escapes, a number as it is written.
};

// `source` must be valid UTF-8. As jinja2's lexer with trim_blocks and lstrip_blocks: line ends
// become "\n", one at the end of the source goes. Comments are left out. Throws Failure.
std::vector<Token> Tokenize(std::string_view source);

}  // namespace dashf::jinja
