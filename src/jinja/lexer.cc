#include "jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "jinja/budget.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsHex(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool IsNameByte(char c) {
  return IsDigit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string WithUnixLines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  return text;
}

std::size_t DigitRun(std::string_view text, bool (*is)(char)) {  // (_?digit)*
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t digit = at + (text[at] == '_' ? 1 : 0);
    if (digit >= text.size() || !is(text[digit])) break;
    at = digit + 1;
  }
  return at;
}

std::size_t IntegerBytes(std::string_view text) {
  const char base = text.size() > 1 ? static_cast<char>(text[1] | 0x20) : '\0';
  if (text[0] == '0' && (base == 'x' || base == 'o' || base == 'b')) {
    const auto is = base == 'x'   ? IsHex
                    : base == 'o' ? +[](char c) { return c >= '0' && c <= '7'; }
                                  : +[](char c) { return c == '0' || c == '1'; };
    const std::size_t digits = DigitRun(text.substr(2), is);
    if (digits > 0) return 2 + digits;
  }
  if (text[0] != '0') return 1 + DigitRun(text.substr(1), IsDigit);
  return 1 + DigitRun(text.substr(1), [](char c) { return c == '0'; });
}

// Zero where no float begins.
std::size_t FloatBytes(std::string_view text) {
  std::size_t at = 1 + DigitRun(text.substr(1), IsDigit);
  const auto digits_at = [&](std::size_t from) {
    return from < text.size() && IsDigit(text[from]) ? 1 + DigitRun(text.substr(from + 1), IsDigit)
                                                     : 0;
  };
  bool is_float = false;
  if (at < text.size() && text[at] == '.' && digits_at(at + 1) > 0) {
    at += 1 + digits_at(at + 1);
    is_float = true;
  }
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    const std::size_t digits =
        at + 1 + (at + 1 < text.size() && (text[at + 1] == '+' || text[at + 1] == '-') ? 1 : 0);
    if (digits_at(digits) > 0) return digits + digits_at(digits);
  }
  return is_float ? at : 0;
}

// Python's "unicode-escape" codec, on what its "backslashreplace" has made ASCII.
class Unescaping {
 public:
  Unescaping(std::string_view literal, int line) : line_(line) {
    for (; !literal.empty(); literal.remove_prefix(FirstCharacter(literal).bytes)) {
      const auto code = static_cast<std::uint32_t>(FirstCharacter(literal).code);
      if (code < 0x80) {
        ascii_ += static_cast<char>(code);
      } else if (code < 0x100) {
        ascii_ += fmt::format("\\x{:02x}", code);
      } else {
        ascii_ += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
      }
    }
  }

  std::string Run() {
    while (at_ < ascii_.size()) {
      const char c = ascii_[at_++];
      if (c != '\\') {
        text_ += c;
      } else if (at_ == ascii_.size()) {
        throw Failure{"a string ends in a backslash", line_};
      } else {
        Escape(ascii_[at_++]);
      }
    }
    return std::move(text_);
  }

 private:
  void Escape(char c) {
    constexpr std::string_view kFrom = "\\'\"abfnrtv";
    constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
    if (c == '\n') return;
    if (const std::size_t found = kFrom.find(c); found != std::string_view::npos) {
      text_ += kTo[found];
    } else if (c >= '0' && c <= '7') {
      char32_t code = static_cast<char32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < ascii_.size() && ascii_[at_] >= '0' && ascii_[at_] <= '7';
           ++i) {
        code = 8 * code + static_cast<char32_t>(ascii_[at_++] - '0');
      }
      AppendUtf8(code, &text_);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      Hexadecimal(c == 'x' ? 2 : c == 'u' ? 4 : 8);
    } else if (c == 'N') {
      throw Failure{"characters by name (\\N) are not supported", line_};
    } else {
      text_ += '\\';
      text_ += c;
    }
  }

  void Hexadecimal(std::size_t digits) {
    char32_t code = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      if (at_ == ascii_.size() || !IsHex(ascii_[at_])) {
        throw Failure{"a string holds a truncated \\x, \\u or \\U escape", line_};
      }
      const char c = ascii_[at_];
      code = 16 * code + static_cast<char32_t>(IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      throw Failure{"a string holds an escape that is no character", line_};
    }
    AppendUtf8(code, &text_);
  }

  std::string ascii_;
  std::size_t at_ = 0;
  std::string text_;
  int line_;
};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(WithUnixLines(source)) {
    if (source_.ends_with('\n')) source_.pop_back();
  }

  std::vector<Token> Run() {
    while (at_ < source_.size()) Outside();
    Put(TokenKind::kEnd, "end of the template");
    return std::move(tokens_);
  }

 private:
  std::string_view Rest() const { return std::string_view(source_).substr(at_); }
  bool StartsWith(std::string_view text) const { return Rest().starts_with(text); }
  void Put(TokenKind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text)}); }
  void Skip(std::size_t bytes) {
    const std::string_view gone = Rest().substr(0, bytes);
    if (gone.empty()) return;
    line_ += static_cast<int>(std::ranges::count(gone, '\n'));
    line_starting_ = gone.ends_with('\n');
    at_ += gone.size();
  }
  static std::size_t SpaceBytes(std::string_view text) {
    return text.size() - Strip(text, std::nullopt, Side::kLeft).size();
  }

  // Data up to the next tag, and the tag.
  void Outside() {
    std::size_t tag = at_;
    const std::string_view source = source_;
    for (;; ++tag) {
      tag = source.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 == source.size()) {
        Put(TokenKind::kData, std::string(Rest()));
        at_ = source.size();
        return;
      }
      if (source[tag + 1] == '{' || source[tag + 1] == '%' || source[tag + 1] == '#') break;
    }
    const char kind = source[tag + 1];
    const std::size_t signed_end = tag + 2;
    const char sign = signed_end < source.size() ? source[signed_end] : '\0';
    Data(tag, sign, kind != '{');
    const bool has_sign = sign == '-' || sign == '+';
    if (kind == '%' && Raw(has_sign ? 3 : 2)) return;
    if (kind != '#') {
      Put(kind == '{' ? TokenKind::kOutputBegin : TokenKind::kBlockBegin,
          kind == '{' ? "{{" : "{%");
    }
    Skip(has_sign ? 3 : 2);
    if (kind == '#') {
      Comment();
    } else {
      Inside(kind == '{');
    }
  }

  // The data before a tag that begins at `tag`, less what its sign or lstrip_blocks takes.
  void Data(std::size_t tag, char sign, bool strips) {
    std::string_view text = Rest().substr(0, tag - at_);
    const std::size_t bytes = text.size();
    if (sign == '-') {
      text = Strip(text, std::nullopt, Side::kRight);
    } else if (sign != '+' && strips) {
      const std::size_t line = text.rfind('\n') + 1;  // npos + 1 is 0.
      if ((line > 0 || line_starting_) &&
          Strip(text.substr(line), std::nullopt, Side::kLeft).empty()) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) Put(TokenKind::kData, std::string(text));
    const bool line_starting = line_starting_;
    Skip(bytes);
    line_starting_ = line_starting;  // Only whole matches tell, tag included.
  }

  // {% raw %} ... {% endraw %}, if that is what begins here; `sign_end` bytes are its beginning.
  bool Raw(std::size_t sign_end) {
    std::string_view rest = Rest().substr(sign_end);
    rest = Strip(rest, std::nullopt, Side::kLeft);
    if (!rest.starts_with("raw")) return false;
    rest = Strip(rest.substr(3), std::nullopt, Side::kLeft);
    if (rest.starts_with("-%}")) {
      rest = Strip(rest.substr(3), std::nullopt, Side::kLeft);
    } else if (rest.starts_with("%}")) {
      rest = rest.substr(2);
    } else {
      return false;
    }
    Skip(Rest().size() - rest.size());
    for (std::size_t tag = at_; (tag = source_.find("{%", tag)) != std::string::npos; ++tag) {
      std::string_view end = std::string_view(source_).substr(tag + 2);
      const char sign = end.empty() ? '\0' : end[0];
      if (sign == '-' || sign == '+') end.remove_prefix(1);
      end = Strip(end, std::nullopt, Side::kLeft);
      if (!end.starts_with("endraw")) continue;
      end = Strip(end.substr(6), std::nullopt, Side::kLeft);
      const std::size_t close = BlockEndBytes(end);
      if (close == 0) continue;
      Data(tag, sign, true);
      Skip(Rest().size() - end.size() + close);
      return true;
    }
    if (at_ == source_.size()) return true;
    throw Failure{"{% raw %} has no end", line_};
  }

  void Comment() {
    if (at_ == source_.size()) return;  // Nothing is left out: jinja2 does not mind, nor at "raw".
    const std::size_t end = Rest().find("#}");
    if (end == std::string_view::npos) throw Failure{"a comment has no end", line_};
    const char sign = end > 0 ? Rest()[end - 1] : '\0';
    std::size_t bytes = end + 2;
    if (sign == '-') {
      bytes += SpaceBytes(Rest().substr(bytes));
    } else if (sign != '+' && Rest().substr(bytes).starts_with('\n')) {
      ++bytes;
    }
    Skip(bytes);
  }

  // Of "+%}", "-%}" and white space, or "%}" and a line end, at the beginning; 0: none of them.
  static std::size_t BlockEndBytes(std::string_view text) {
    if (text.starts_with("+%}")) return 3;
    if (text.starts_with("-%}")) return 3 + SpaceBytes(text.substr(3));
    if (text.starts_with("%}\n")) return 3;
    return text.starts_with("%}") ? 2 : 0;
  }
  static std::size_t OutputEndBytes(std::string_view text) {
    if (text.starts_with("-}}")) return 3 + SpaceBytes(text.substr(3));
    return text.starts_with("}}") ? 2 : 0;
  }

  // The tokens of an output or a block, and its end.
  void Inside(bool output) {
    std::string open;  // Brackets, whose ends are awaited.
    while (at_ < source_.size()) {
      const std::size_t end = output ? OutputEndBytes(Rest()) : BlockEndBytes(Rest());
      if (end > 0 && open.empty()) {
        Put(output ? TokenKind::kOutputEnd : TokenKind::kBlockEnd, output ? "}}" : "%}");
        Skip(end);
        return;
      }
      if (const std::size_t space = SpaceBytes(Rest()); space > 0) {
        Skip(space);
      } else {
        One(&open);
      }
    }
  }

  void One(std::string* open) {
    const char c = Rest()[0];
    if (IsDigit(c)) {
      const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
      const std::size_t bytes = after_dot ? 0 : FloatBytes(Rest());
      if (bytes > 0) return Number(TokenKind::kFloat, bytes);
      return Number(TokenKind::kInteger, IntegerBytes(Rest()));
    }
    if (IsNameByte(c)) {
      std::size_t bytes = 1;
      while (bytes < Rest().size() && IsNameByte(Rest()[bytes])) ++bytes;
      Put(TokenKind::kName, std::string(Rest().substr(0, bytes)));
      return Skip(bytes);
    }
    if (c == '\'' || c == '"') return String(c);
    Operator(open);
  }

  void Number(TokenKind kind, std::size_t bytes) {
    std::string text(Rest().substr(0, bytes));
    std::erase(text, '_');
    Put(kind, std::move(text));
    Skip(bytes);
  }

  void String(char quote) {
    std::size_t end = 1;
    while (end < Rest().size() && Rest()[end] != quote) end += Rest()[end] == '\\' ? 2 : 1;
    if (end >= Rest().size()) throw Failure{"a string has no end", line_};
    Put(TokenKind::kString, Unescaping(Rest().substr(1, end - 1), line_).Run());
    Skip(end + 1);
  }

  void Operator(std::string* open) {
    constexpr std::array<std::string_view, 7> kPairs = {"//", "**", "==", "!=", ">=", "<=", ""};
    constexpr std::string_view kSingle = "+-/*%~[](){}><=.:|,;";
    for (const std::string_view pair : kPairs) {
      if (pair.empty() || !StartsWith(pair)) continue;
      Put(TokenKind::kOperator, std::string(pair));
      return Skip(pair.size());
    }
    const char c = Rest()[0];
    if (kSingle.find(c) == std::string_view::npos) {
      throw Failure{fmt::format("unexpected character {}",
                                ReprOfText(Rest().substr(0, FirstCharacter(Rest()).bytes))),
                    line_};
    }
    if (c == '(' || c == '[' || c == '{') {
      open->push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (open->empty() || open->back() != c) {
        throw Failure{fmt::format("unexpected '{}'", c), line_};
      }
      open->pop_back();
    }
    Put(TokenKind::kOperator, std::string(1, c));
    Skip(1);
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(std::string_view source) {
  return Lexer(source).Run();
}

}  // namespace dashf::jinja
