#include "corpus/example.h"

#include <algorithm>

#include "base/check.h"

namespace dashf::corpus {

Example Fitted(Example example, std::size_t bos_tokens, int tokens_max) {
  DASHF_CHECK(tokens_max >= 3 && !example.answers.empty());
  const auto at = [&](std::size_t i) {
    return example.tokens.begin() + static_cast<std::ptrdiff_t>(i);
  };
  while (example.answers.size() > 1 && example.answers.back().end > tokens_max) {
    example.answers.pop_back();
    example.shortened = true;
  }
  auto& [begin, end] = example.answers.back();
  example.tokens.erase(at(static_cast<std::size_t>(end)), example.tokens.end());
  if (end <= tokens_max) return example;
  example.shortened = true;
  const auto room = static_cast<std::size_t>(tokens_max);
  const auto prompt = static_cast<std::size_t>(begin);
  std::size_t answer = example.tokens.size() - prompt;
  // One token before the answer stays in any case: its first token needs a predecessor.
  const std::size_t prompt_min = std::min(prompt, bos_tokens + 1);
  if (answer > room - prompt_min) {
    answer = room - (prompt < room ? prompt : std::max(prompt_min, room / 2));
  }
  example.tokens.resize(prompt + answer);
  example.tokens.erase(at(bos_tokens), at(bos_tokens + example.tokens.size() - room));
  end = tokens_max;
  begin = end - static_cast<int>(answer);
  return example;
}

}  // namespace dashf::corpus
