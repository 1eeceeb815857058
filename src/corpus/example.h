// A sequence of tokens to train or evaluate on, and which of them the loss counts.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace dashf::corpus {

// Positions begin..end - 1.
struct Span {
  int begin = 0;
  int end = 0;

  friend bool operator==(const Span&, const Span&) = default;
};

struct Example {
  Example() = default;
  // One answer, from answer_begin to the end.
  Example(std::vector<int> ids, int answer_begin)
      : tokens(std::move(ids)), answers{{answer_begin, static_cast<int>(tokens.size())}} {}

  std::vector<int> tokens;
  // What the loss counts: at least one span, ascending and apart, none of them empty and none from
  // position 0, whose token nothing foretells.
  std::vector<Span> answers;
  bool shortened = false;  // Something of the sample was cut off to fit.

  int answer_begin() const { return answers.front().begin; }
  int answer_tokens() const {
    int count = 0;
    for (const Span& span : answers) count += span.end - span.begin;
    return count;
  }
};

// At most `tokens_max` >= 3 of the example's tokens, the first `bos_tokens` (0 or 1) of which
// always stay. As many answers are kept as fit whole, from the first on, and what stands behind the
// last of them goes. If not even the first fits behind its prompt, the prompt loses its beginning,
// provided that the answer then fits whole. An answer that does not fit even so loses its end, and
// with it the token that ends it, so that the model is not taught to stop there; its prompt stays
// whole then, or, where it is too long by itself, its end, in half of the tokens.
Example Fitted(Example example, std::size_t bos_tokens, int tokens_max);

}  // namespace dashf::corpus
