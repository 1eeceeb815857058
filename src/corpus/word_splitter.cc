#include "corpus/word_splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <cstdint>
#include <string>

#include "base/check.h"

namespace dashf::corpus {
namespace {

// Unicode's White_Space, which the tokenizers mean by \s, without line ends; PCRE2's has U+180E as
// well.
constexpr std::string_view kBlanks =
    R"(\x{9}\x{b}\x{c}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// White space up to its last line end (the families' \s*[\r\n]+), then by itself. Said in a way
// that never goes back, so that any text is cut in linear time.
std::string Spaces(bool lines_first) {
  constexpr std::string_view kLines = R"((?:[{0}]*+[\r\n]++)++|)";
  constexpr std::string_view kSpaces = R"([{0}\r\n]+(?![^{0}\r\n])|[{0}\r\n]+)";
  return (lines_first ? fmt::format(kLines, kBlanks) : "") + fmt::format(kSpaces, kBlanks);
}

// What is neither space, letter nor number, with a space before and `tail` behind it.
std::string Symbols(std::string_view tail) {
  return fmt::format(R"( ?[^{}\r\n\p{{L}}\p{{N}}]+{}|)", kBlanks, tail);
}

constexpr std::string_view kContraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

// Words by their letters' case, each followed by `tail`.
std::string CasedWords(std::string_view tail) {
  constexpr std::string_view kCased =
      R"([^\r\n\p{{L}}\p{{N}}]?[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}]*[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]+{0}|[^\r\n\p{{L}}\p{{N}}]?[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}]+[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]*{0}|)";
  return fmt::format(kCased, tail);
}

// The families' expressions, as tokenizer_json.cc has them.
std::string Expression(WordRule rule) {
  const std::string words = fmt::format(R"({}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|)", kContraction);
  switch (rule) {
    case WordRule::kGpt2:
      return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|)" + Symbols("") + Spaces(false);
    case WordRule::kLlama3:
      return words + R"(\p{N}{1,3}|)" + Symbols(R"([\r\n]*)") + Spaces(true);
    case WordRule::kQwen2:
      return words + R"(\p{N}|)" + Symbols(R"([\r\n]*)") + Spaces(true);
    case WordRule::kTekken:
      return CasedWords("") + R"(\p{N}|)" + Symbols(R"([\r\n/]*)") + Spaces(true);
    case WordRule::kGpt4o:
      return CasedWords(fmt::format("{}?", kContraction)) + R"(\p{N}{1,3}|)" +
             Symbols(R"([\r\n/]*)") + Spaces(true);
    case WordRule::kDigits:
      return R"(\p{N}+)";
    case WordRule::kDigitsOneByOne:
      return R"(\p{N})";
  }
  DASHF_CHECK(false);
}

}  // namespace

struct WordSplitter::Compiled {
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_context* limits) const { pcre2_match_context_free(limits); }
  };
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_context, Free> limits;
};

WordSplitter::WordSplitter(WordRule rule) {
  const std::string expression = Expression(rule);
  int error = 0;
  PCRE2_SIZE at = 0;
  auto compiled = std::make_unique<Compiled>();
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                                     expression.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK,
                                     &error,
                                     &at,
                                     nullptr));
  DASHF_CHECK(compiled->code != nullptr);
  // Without it matching is only slower.
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  compiled->limits.reset(pcre2_match_context_create(nullptr));
  DASHF_CHECK(compiled->limits != nullptr);
  pcre2_set_match_limit(compiled->limits.get(), UINT32_MAX);  // The text's length is the limit.
  compiled_ = std::move(compiled);
}

WordSplitter::~WordSplitter() = default;
WordSplitter::WordSplitter(WordSplitter&&) noexcept = default;
WordSplitter& WordSplitter::operator=(WordSplitter&&) noexcept = default;

void WordSplitter::Split(std::string_view text, std::vector<std::string_view>* pieces) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  DASHF_CHECK(match != nullptr);
  std::size_t done = 0;
  while (done < text.size()) {  // Every expression matches at least one character.
    const int found = pcre2_match(compiled_->code.get(),
                                  reinterpret_cast<PCRE2_SPTR>(text.data()),
                                  text.size(),
                                  done,
                                  PCRE2_NO_UTF_CHECK,
                                  match.get(),
                                  compiled_->limits.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    DASHF_CHECK(found > 0);
    const PCRE2_SIZE* place = pcre2_get_ovector_pointer(match.get());
    if (place[0] > done) pieces->push_back(text.substr(done, place[0] - done));
    pieces->push_back(text.substr(place[0], place[1] - place[0]));
    done = place[1];
  }
  if (done < text.size()) pieces->push_back(text.substr(done));
}

}  // namespace dashf::corpus
