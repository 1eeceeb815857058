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
  }
  auto& [begin, end] = example.answers.back();
  example.tokens.erase(at(static_cast<std::size_t>(end)), example.tokens.end());
  if (end <= tokens_max) return example;
  // One token before the answer stays in any case: its first token needs a predecessor.
  const auto room = static_cast<std::size_t>(tokens_max);
  const auto prompt_end = static_cast<std::size_t>(begin);
  const std::size_t prompt_min = std::min(prompt_end, bos_tokens + 1);
  const std::size_t answer = std::min(example.tokens.size() - prompt_end, room - prompt_min);
  example.tokens.resize(prompt_end + answer);
  example.tokens.erase(at(bos_tokens), at(bos_tokens + example.tokens.size() - room));
  end = tokens_max;
  begin = end - static_cast<int>(answer);
  return example;
}

}  // namespace dashf::corpus
