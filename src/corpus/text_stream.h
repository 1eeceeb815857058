// Text of tokens that come one by one.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "corpus/tokenizer.h"

namespace dashf::corpus {

// What Add and Finish give, one after the other, is what Decode gives of all tokens together.
class TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // The text that the token makes certain: a character whose bytes are not all there yet waits.
  std::string Add(int id) {
    ids_.push_back(id);
    const std::string text = tokenizer_.Decode(ids_);
    std::string_view certain = text;
    while (certain.ends_with(kBroken)) certain.remove_suffix(kBroken.size());
    return Beyond(certain);
  }
  std::string Finish() { return Beyond(tokenizer_.Decode(ids_)); }

 private:
  static constexpr std::string_view kBroken = "\xEF\xBF\xBD";  // U+FFFD.

  std::string Beyond(std::string_view text) {
    text.remove_prefix(std::min(given_, text.size()));
    given_ += text.size();
    return std::string(text);
  }

  const Tokenizer& tokenizer_;
  std::vector<int> ids_;
  std::size_t given_ = 0;  // Bytes.
};

}  // namespace dashf::corpus
