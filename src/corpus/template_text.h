// What a chat template has made of a conversation, as tokens. The special tokens that the messages
// themselves hold are marked before the template sees them, and encoded as the characters that they
// consist of. Internal to this module.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "corpus/tokenizer.h"

namespace dashf::corpus {

// Of one tokenizer, which must outlive it.
class TemplateText {
 public:
  explicit TemplateText(const Tokenizer& tokenizer);

  // Puts marks around every special token in the texts of `json`, at any depth; keys stay as they
  // are. kBadInput for a text that holds a mark.
  Expected<void> Mark(nlohmann::ordered_json* json) const;

  // Appends the tokens of a piece of a text; `token_before` tells whether a special token or
  // nothing stands before it, where a tokenizer that adds a space adds it.
  void Append(std::string_view piece, bool token_before, std::vector<int>* tokens) const;

  struct Token {
    std::size_t begin = 0, end = 0;  // In bytes.
    int id = -1;
  };
  // The first special token of the template's own from `from` on.
  std::optional<Token> FindToken(std::string_view text, std::size_t from) const;

 private:
  std::optional<Token> FindAnyToken(std::string_view text, std::size_t from) const;
  void AppendText(std::string_view text, bool token_before, std::vector<int>* tokens) const;

  const Tokenizer& tokenizer_;
  bool spaces_first_text_;  // A space is put in front of the sequence's first text alone.
  // By their first byte; longest first.
  std::array<std::vector<const Tokenizer::SpecialToken*>, 256> specials_;
};

}  // namespace dashf::corpus
