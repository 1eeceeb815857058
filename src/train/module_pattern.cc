#include "train/module_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/check.h"

namespace dashf::train {
namespace {

constexpr std::uint32_t kStepsMax = 100'000;  // On names of some 50 characters.
constexpr std::size_t kBytesMax = 10'000;

// What may follow "(?": groups, looks ahead and a flag at the start, which mean the same to both.
bool IsKnownGroup(std::string_view behind, bool at_start) {
  if (behind.starts_with("i)")) return at_start;
  constexpr std::array<std::string_view, 5> kGroups = {":", "=", "!", "P<", "P="};
  return std::ranges::any_of(kGroups, [&](std::string_view g) { return behind.starts_with(g); });
}

// Where the two readers part: the first construct that either does not have or takes for another.
std::string_view UnlikePython(std::string_view text) {
  constexpr std::string_view kEscapesOfBoth = "AbBdDsSwWZfnrtv123456789";
  bool in_set = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    const auto c = static_cast<unsigned char>(rest[0]);
    if (c >= 0x80 || c == 0) return rest.substr(0, 1);
    if (c == '\\' && rest.size() > 1) {
      const char escaped = rest[1];
      const bool word = std::isalnum(static_cast<unsigned char>(escaped)) != 0;
      if (word && kEscapesOfBoth.find(escaped) == std::string_view::npos) return rest.substr(0, 2);
      ++i;
    } else if (in_set) {
      if (c == '[') return rest.substr(0, 2);
      in_set = c != ']';
    } else if (c == '[') {
      in_set = true;
      if (rest.substr(1, 1) == "^") ++i;
      if (text.substr(i + 1, 1) == "]") ++i;  // A first ']' stands for itself.
    } else if (rest.starts_with("(*") || rest.starts_with("{,") || rest.starts_with("}{")) {
      return rest.substr(0, 2);
    } else if (rest.starts_with("(?") && !IsKnownGroup(rest.substr(2), i == 0)) {
      return rest.substr(0, 3);
    }
  }
  return {};
}

}  // namespace

struct ModulePattern::Compiled {
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_context* limits) const { pcre2_match_context_free(limits); }
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
  };
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_context, Free> limits;
  std::unique_ptr<pcre2_match_data, Free> match;
};

tl::expected<ModulePattern, std::string> ModulePattern::Compile(std::string_view expression) {
  if (expression.size() > kBytesMax) {
    return tl::unexpected(fmt::format("must have at most {} bytes", kBytesMax));
  }
  if (const std::string_view odd = UnlikePython(expression); !odd.empty()) {
    return tl::unexpected(
        fmt::format("must be a regular expression without \"{}\"",
                    static_cast<unsigned char>(odd[0]) >= 0x80 ? "letters beyond ASCII" : odd));
  }
  int error = 0;
  PCRE2_SIZE at = 0;
  auto compiled = std::make_shared<Compiled>();
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                                     expression.size(),
                                     PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                                     &error,
                                     &at,
                                     nullptr));
  if (compiled->code == nullptr) {
    std::array<PCRE2_UCHAR, 200> why{};
    pcre2_get_error_message(error, why.data(), why.size());
    return tl::unexpected(fmt::format("must be a regular expression: {} at character {}",
                                      reinterpret_cast<const char*>(why.data()),
                                      at + 1));
  }
  compiled->limits.reset(pcre2_match_context_create(nullptr));
  compiled->match.reset(pcre2_match_data_create(1, nullptr));
  DASHF_CHECK(compiled->limits != nullptr && compiled->match != nullptr);
  pcre2_set_match_limit(compiled->limits.get(), kStepsMax);
  return ModulePattern(std::move(compiled));
}

tl::expected<bool, std::string> ModulePattern::Matches(std::string_view module) const {
  const int found = pcre2_match(compiled_->code.get(),
                                reinterpret_cast<PCRE2_SPTR>(module.data()),
                                module.size(),
                                0,
                                0,
                                compiled_->match.get(),
                                compiled_->limits.get());
  if (found >= 0) return true;
  if (found == PCRE2_ERROR_NOMATCH) return false;
  return tl::unexpected(fmt::format(
      "must be a regular expression that decides on \"{}\" within {} steps", module, kStepsMax));
}

}  // namespace dashf::train
